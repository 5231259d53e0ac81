#!/usr/bin/env bash
# Goes looking for crashes that nobody has met: the engine's crash tests in memory, over all designs and policies, with
# another seed in every round. A failure prints the line that repeats it.
#
#   scripts/crash.sh                       for five minutes
#   DURATION=7200 scripts/crash.sh         for so many seconds
#   EVERY=1 scripts/crash.sh               one round that leaves out no operation of any design: about an hour on 2 cores
#   EVERY=1 DESIGN=uring+mmap+journal …    of this design: less than a minute; a regular expression but for the +
#
# SEED (the clock; 1 with EVERY)   of the first round; the next ones count up from it
# DESIGN (all)                     crash only the designs whose names begin so
# The exit code is 1 at the first failure.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/broker.sh
. "$here/broker.sh"
usage "$@"
cd "$repo"

tests='(Crash|PowerLoss|Holes|KafkaSwaps)'
[ -z "${DESIGN:-}" ] || tests+="/^design=${DESIGN//+/[+]}"
work=$(mktemp -d "${TMPDIR:-/tmp}/bobbin-crash.XXXXXX")
trap 'rm -rf "$work"' EXIT
go test -c -o "$work/engine.test" ./engine
cd engine
if [ -n "${EVERY:-}" ]; then
	"$work/engine.test" -test.run "$tests" -test.timeout 6h -crash.every -crash.seed "${SEED:-1}"
	exit
fi
seed=${SEED:-$(date +%s)} rounds=0
end=$((SECONDS + ${DURATION:-300}))
while [ $SECONDS -lt $end ]; do
	"$work/engine.test" -test.run "$tests" -test.short -crash.seed "$seed" >"$work/out" 2>&1 || { cat "$work/out"; echo "seed $seed"; exit 1; }
	seed=$((seed + 1)) rounds=$((rounds + 1))
done
echo "$rounds rounds up to seed $((seed - 1)): no promise was broken"
