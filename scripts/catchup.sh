#!/usr/bin/env bash
# What a consumer of records that are no longer in memory costs the producers beside it, over the wire: producers alone,
# beside a consumer that the broker does not pace (bobbin.cold.read.percent=100), and beside one that it does, in turns.
#
#   RAWLOAD_DIR=… scripts/catchup.sh [PERCENT…]      100 10, if nothing is said
#
# RAWLOAD_DIR is the yardstick of speed.sh. CONNECTIONS (16) produce BATCH (16384) bytes with bobbin.sync=SYNC (always)
# for SECONDS_EACH (4); COLD_MB (3000) are there to be read, and evicted before each turn. TURNS (5).
# Prints medians, what the broker read from the disk, and the medians of the turns' ratios to the producers alone:
# throughput kept, and p99 stretched.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/broker.sh
. "$here/broker.sh"
usage "$@"
if [ -z "${RAWLOAD_DIR:-}" ]; then
	echo "set RAWLOAD_DIR to the folder of the rawload program, which is not part of this repository" >&2
	exit 2
fi
percents=("$@")
if [ ${#percents[@]} -eq 0 ]; then percents=(100 10); fi
connections=${CONNECTIONS:-16} batch=${BATCH:-16384} sync=${SYNC:-always} seconds=${SECONDS_EACH:-4} cold_mb=${COLD_MB:-3000} turns=${TURNS:-5}
work=$(mktemp -d "${TMPDIR:-/tmp}/bobbin-catchup.XXXXXX")
reader='' topics=0

finish() {
	[ -z "$reader" ] || end_process KILL "$reader" || true
	[ -z "$broker_pid" ] || end_process TERM "$broker_pid" || true
	rm -rf "$work"
}
trap finish EXIT

serve() { start_broker "$work/bobbin" "$port" "$work/data" "$work/broker.log" --override "bobbin.cold.read.percent=$1"; }
stop() { end_process TERM "$broker_pid" && broker_pid=; }

# evict drops the cold topic's bytes from the page cache, which needs no special rights.
evict() {
	sync
	python3 - "$work"/data/cold-0/*.log <<-'END'
		import os, sys
		for name in sys.argv[1:]:
		    fd = os.open(name, os.O_RDONLY)
		    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
		    os.close(fd)
	END
}

# disk_bytes is how much the broker has read from the disk.
disk_bytes() { awk '/^read_bytes:/ {print $2}' "/proc/$broker_pid/io"; }

# turn SIDE: alone, or the percentage.
turn() {
	local topic="t$((++topics))" load disk figures
	if [ "$1" = alone ]; then serve 10; else serve "$1"; fi
	"$work/bobbin" topic create "$topic" -b "127.0.0.1:$port" -p 1 -c "bobbin.sync=$sync" >/dev/null
	load=("$work/rawload" produce -pid "$broker_pid" -addr "127.0.0.1:$port" -topic "$topic" -conns "$connections" -inflight 1 -batch "$batch")
	timeout 60 "${load[@]}" -dur 0.5s >/dev/null
	evict
	if [ "$1" != alone ]; then
		"$work/rawload" consume -addr "127.0.0.1:$port" -topic cold -total "$((cold_mb * 2))M" >/dev/null 2>&1 &
		reader=$!
	fi
	disk=$(disk_bytes)
	figures=$(timeout 120 "${load[@]}" -dur "${seconds}s")
	printf '%s\t%s cold_MB/s=%d\n' "$1" "$figures" "$((($(disk_bytes) - disk) / seconds / 1000000))" >>"$work/figures"
	if [ -n "$reader" ]; then
		end_process KILL "$reader" || true
		reader=
	fi
	"$work/bobbin" topic delete "$topic" -b "127.0.0.1:$port" >/dev/null
	stop
}

build_bobbin "$work/bobbin"
(cd "$RAWLOAD_DIR" && GOFLAGS=-buildvcs=false go build -o "$work/rawload" .)
port=$(free_port)
serve 10
"$work/bobbin" topic create cold -b "127.0.0.1:$port" -p 1 -c bobbin.sync=none -c segment.bytes=268435456 >/dev/null
timeout 300 "$work/rawload" produce -addr "127.0.0.1:$port" -topic cold -batch 65536 -total "${cold_mb}M" >/dev/null
stop
sides=(alone "${percents[@]}")
for ((n = 0; n < turns; n++)); do
	for ((i = 0; i < ${#sides[@]}; i++)); do turn "${sides[(i + n) % ${#sides[@]}]}"; done
done

echo "$connections connections × $batch bytes, bobbin.sync=$sync, one consumer of $cold_mb MB, $seconds s, medians of $turns turns"
python3 - "$work/figures" "${sides[@]}" <<'END'
import re, statistics, sys

seen = {}
for line in open(sys.argv[1]):
    side, figures = line.rstrip("\n").split("\t")
    for key, value in re.findall(r"(\S+)=([\d.]+)", figures):
        seen.setdefault((side, key), []).append(float(value))
print(f"{'cold reads':>10} {'MB/s':>6} {'kept':>6} {'p50 µs':>8} {'p99 µs':>8} {'stretch':>8} {'cold MB/s':>10}")
for side in sys.argv[2:]:
    of = lambda key: statistics.median(a / b for a, b in zip(seen[side, key], seen["alone", key]))
    m = lambda key: statistics.median(seen[side, key])
    print(f"{side if side == 'alone' else side + ' %':>10} {m('MB/s'):6.0f} {of('MB/s'):6.2f} {m('p50_us'):8.0f} {m('p99_us'):8.0f} {of('p99_us'):8.2f} {m('cold_MB/s'):10.0f}")
END
