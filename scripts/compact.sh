#!/usr/bin/env bash
# Gives this checkout's broker and an Apache Kafka broker the same records, has both compact them, and compares what is
# left, record by record; Kafka's DumpLogSegments then judges the files. See scripts/compact/main.go.
#
#   KAFKA=127.0.0.1:19092 TOOL=/path/to/tool scripts/compact.sh [SEED…]
#
# KAFKA   a Kafka broker, on whose topic "compared" nothing depends; log.cleaner.backoff.ms=500 spares waiting
# TOOL    a command that runs one of Kafka's classes; without it the files are not judged
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/broker.sh
. "$here/broker.sh"
# shellcheck source=scripts/judge.sh
. "$here/judge.sh"
usage "$@"

if [ -z "${KAFKA:-}" ]; then
	echo "set KAFKA to the address of an Apache Kafka broker" >&2
	exit 2
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/bobbin-compact.XXXXXX")

finish() {
	local status=$?
	[ -z "$broker_pid" ] || end_process KILL "$broker_pid" || true
	if [ $status -eq 0 ]; then rm -rf "$work"; else echo "data and logs are kept in $work" >&2; fi
}
trap finish EXIT

build_bobbin "$work/bobbin"
(cd "$repo" && CGO_ENABLED=0 go build -o "$work/compact" ./scripts/compact)
port=$(free_port)
start_broker "$work/bobbin" "$port" "$work/data" "$work/broker.log" --override log.cleaner.backoff.ms=500

[ $# -gt 0 ] || set -- 1 2 3
for seed in "$@"; do
	"$work/compact" -seed "$seed" "127.0.0.1:$port" "$KAFKA"
done
end_process TERM "$broker_pid"
broker_pid=

[ -n "${TOOL:-}" ] || exit 0
# It tells of every hole, also in Kafka's own files.
wrong=$(
	complaints --deep-iteration "$(echo "$work"/data/compared-0/*.log | tr ' ' ',')" |
		grep -vE '^Non-consecutive offsets in |^  -?[0-9]+ is followed by ' || true
	complaints --index-sanity-check "$(echo "$work"/data/compared-0/*index | tr ' ' ',')"
)
[ -z "$wrong" ] || { echo "DumpLogSegments says:" && echo "$wrong" && exit 1; }
echo "DumpLogSegments finds nothing wrong in $(find "$work/data/compared-0" -name '*.log' | wc -l) segments"
