#!/usr/bin/env bash
# One piece of work, several brokers, in turns: what an acknowledged record costs each of them. The first of a turn is
# another one each time, every turn writes into a topic of its own, and what it left to write is written before the next.
#
#   RAWLOAD_DIR=… FLOOR_DIR=… scripts/brokers.sh [SIDE…]
#
#   floor           the least that a Go broker can do: one pwrite a request, no sync
#   floor-synced    and an fdatasync for each request
#   bobbin:POLICY   this checkout, bobbin.sync=POLICY
#   kafka           Apache Kafka with flush.messages=1: it syncs before it answers, as bobbin:always does
#   kafka-unsynced  Apache Kafka as it comes: it acknowledges what is in the page cache
#
# Without sides: floor floor-synced bobbin:always bobbin:linger bobbin:journal. RAWLOAD_DIR and FLOOR_DIR are the yardsticks
# of speed.sh. Closed loop: PARTITIONS (64), CONNECTIONS (64), INFLIGHT (1) on each, batches of BATCH (16384) bytes, for
# SECONDS_EACH (4) a turn, TURNS (5). KAFKA_HEAP (1G). OVERRIDES: more --override flags for bobbin.
# Prints the medians, and the medians of the turns' ratios to the floors; FIGURES=file keeps every turn.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/install.sh
. "$here/install.sh"
# shellcheck source=scripts/broker.sh
. "$here/broker.sh"
# shellcheck source=scripts/kafka.sh
. "$here/kafka.sh"
usage "$@"
if [ -z "${RAWLOAD_DIR:-}" ] || [ -z "${FLOOR_DIR:-}" ]; then
	echo "set RAWLOAD_DIR and FLOOR_DIR to the folders of the rawload and floor programs, which are not part of this repository" >&2
	exit 2
fi
partitions=${PARTITIONS:-64} connections=${CONNECTIONS:-64} inflight=${INFLIGHT:-1} batch=${BATCH:-16384}
seconds=${SECONDS_EACH:-4} turns=${TURNS:-5}
export KAFKA_HEAP=${KAFKA_HEAP:-1G}
sides=("$@")
if [ ${#sides[@]} -eq 0 ]; then sides=(floor floor-synced bobbin:always bobbin:linger bobbin:journal); fi
work=$(mktemp -d "${TMPDIR:-/tmp}/bobbin-brokers.XXXXXX")
floor_pid='' topics=0

finish() {
	local pid
	for pid in "$broker_pid" "$floor_pid" "$kafka_pid"; do [ -z "$pid" ] || end_process TERM "$pid" || true; done
	rm -rf "$work"
}
trap finish EXIT

# turn SIDE: one measurement, into a topic of its own.
turn() {
	local side=$1 address pid config='' topic="t$((++topics))"
	case $side in
	floor*)
		mkdir "$work/floor"
		local flags=()
		[ "$side" = floor ] || flags=(-sync)
		"$work/floor-bin" -addr "127.0.0.1:$floor_port" -dir "$work/floor" "${flags[@]}" >"$work/floor.log" 2>&1 </dev/null &
		floor_pid=$!
		wait_listening 127.0.0.1 "$floor_port" "$floor_pid" 10
		address=127.0.0.1:$floor_port pid=$floor_pid
		;;
	bobbin:*) address=127.0.0.1:$port pid=$broker_pid config=bobbin.sync=${side#bobbin:} ;;
	kafka) address=127.0.0.1:$kafka_port pid=$kafka_pid config=flush.messages=1 ;;
	kafka-unsynced) address=127.0.0.1:$kafka_port pid=$kafka_pid ;;
	*) echo "no side is called $side" >&2; return 2 ;;
	esac
	if [[ $side != floor* ]]; then
		"$work/bobbin" topic create "$topic" -b "$address" -p "$partitions" ${config:+-c "$config"} >/dev/null
	fi
	local load=("$work/rawload" produce -pid "$pid" -addr "$address" -topic "$topic" -parts "$partitions" -conns "$connections"
		-inflight "$inflight" -batch "$batch") end=$((SECONDS + 60)) figures
	# The warm-up: a few requests to each partition, whose files may come with its first record, and 64 MiB at least. Apache
	# Kafka answers that a topic is made before all of its partitions have a leader.
	until timeout 60 "${load[@]}" -total $((partitions * 4 * batch + 67108864)) >"$work/warmup.log" 2>&1; do
		[ $SECONDS -lt $end ] || { cat "$work/warmup.log" >&2; return 1; }
		sleep 0.2
	done
	sync
	figures=$(timeout 120 "${load[@]}" -dur "${seconds}s")
	printf '%s\t%s\n' "$side" "$figures" >>"$work/figures"
	if [[ $side == floor* ]]; then
		end_process KILL "$floor_pid" || true
		floor_pid=
		rm -rf "$work/floor"
	else
		"$work/bobbin" topic delete "$topic" -b "$address" >/dev/null
	fi
	sync
}

build_bobbin "$work/bobbin"
(cd "$RAWLOAD_DIR" && GOFLAGS=-buildvcs=false go build -o "$work/rawload" .)
(cd "$FLOOR_DIR" && GOFLAGS=-buildvcs=false go build -o "$work/floor-bin" .)
floor_port=$(free_port)
if [[ " ${sides[*]}" == *" bobbin:"* ]]; then
	port=$(free_port)
	# shellcheck disable=SC2086 # several words
	start_broker "$work/bobbin" "$port" "$work/data" "$work/broker.log" ${OVERRIDES:-}
fi
if [[ " ${sides[*]}" == *" kafka"* ]]; then
	install_kafka
	kafka_port=$(free_port) controller_port=$(free_port)
	kafka_node format && kafka_node start || { tail -n 5 "$work/kafka/broker.log" >&2; exit 1; }
	turn kafka-unsynced # the virtual machine is warm when it counts
	: >"$work/figures"
fi
for ((n = 0; n < turns; n++)); do
	for ((i = 0; i < ${#sides[@]}; i++)); do turn "${sides[(i + n) % ${#sides[@]}]}"; done
done
[ -z "${FIGURES:-}" ] || cp "$work/figures" "$FIGURES"

echo "$connections connections × $partitions partitions × $batch bytes, $inflight in flight, $seconds s, medians of $turns turns"
python3 - "$work/figures" "${sides[@]}" <<'END'
import re, statistics, sys

seen = {}
for line in open(sys.argv[1]):
    side, figures = line.rstrip("\n").split("\t")
    for key, value in re.findall(r"(\S+)=([\d.]+)", figures):
        seen.setdefault((side, key), []).append(float(value))

def median(side, key): return statistics.median(seen[side, key])

def ratio(side, base, key):
    if (base, key) not in seen:
        return "–"
    return f"{statistics.median(a / max(b, 1e-9) for a, b in zip(seen[side, key], seen[base, key])):.2f}"

print(f"{'side':16} {'MB/s':>6} {'of floor':>9} {'of synced':>10} {'p50 µs':>8} {'p99 µs':>8} {'of synced':>10} {'p99.9 µs':>9} {'CPU s/GB':>9}")
for side in sys.argv[2:]:
    print(f"{side:16} {median(side, 'MB/s'):6.0f} {ratio(side, 'floor', 'MB/s'):>9} {ratio(side, 'floor-synced', 'MB/s'):>10} {median(side, 'p50_us'):8.0f} "
          f"{median(side, 'p99_us'):8.0f} {ratio(side, 'floor-synced', 'p99_us'):>10} {median(side, 'p999_us'):9.0f} {median(side, 'cpu_s/GB'):9.2f}")
END
