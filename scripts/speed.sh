#!/usr/bin/env bash
# Speed and memory of the broker against a floor: a program that does the least a Go broker can do (read a frame, check
# the CRC, write, answer; send a file range). Both are driven by the same load generator in the same minutes, in turns
# A B A B, and compared by the median of the turns' ratios, as figures of different hours say little about code.
#
# The load generator and the floor are yardsticks of their own and not part of this repository:
#   RAWLOAD_DIR  the folder of the Go program rawload (produce, consume, create, first; -pid for CPU and memory)
#   FLOOR_DIR    the folder of the Go program floor (-addr, -dir, -sync)
#
#   RAWLOAD_DIR=… FLOOR_DIR=… scripts/speed.sh [ROW…]     only the rows whose names contain one of the words
#
# TURNS (5), SCALE (100, per cent of the data that each row moves). Prints one line a row: the medians of the floor and of
# Bobbin, the median ratio, the bound it is held to, and ok or SHORT; the exit code is 1 when one falls short.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/broker.sh
. "$here/broker.sh"
usage "$@"
if [ -z "${RAWLOAD_DIR:-}" ] || [ -z "${FLOOR_DIR:-}" ]; then
	echo "set RAWLOAD_DIR and FLOOR_DIR to the folders of the rawload and floor programs, which are not part of this repository" >&2
	exit 2
fi
turns=${TURNS:-5} scale=${SCALE:-100}
work=$(mktemp -d "${TMPDIR:-/tmp}/bobbin-speed.XXXXXX")
floor_pid=

finish() {
	[ -z "$broker_pid" ] || end_process TERM "$broker_pid" || true
	[ -z "$floor_pid" ] || end_process TERM "$floor_pid" || true
	rm -rf "$work"
}
trap finish EXIT

# name | what | sync, and :synced for the floor that calls fdatasync for each request | partitions | connections | in flight | batch bytes | MB in all, or seconds | bounds on figures
# A bound is on Bobbin's figure divided by the floor's; without a sync, the row reads what was filled in.
rows=(
	"produce 1.1 KB|produce|none|1|1|5|1100|200|mbps>=0.7"
	"produce 16 KiB|produce|none|1|1|5|16384|1000|mbps>=0.8 cpu<=1.3"
	"produce 64 KiB|produce|none|1|1|5|65536|1500|mbps>=0.8 cpu<=1.3"
	"produce 1 MB|produce|none|1|1|5|1000000|2000|mbps>=0.8 cpu<=1.3"
	"produce 64 KiB, 8 partitions, 4 connections|produce|none|8|4|5|65536|1500|mbps>=0.8"
	"fetch 64 KiB|consume|none|1|1|1|65536|2000|mbps>=0.8"
	"fetch 1 MiB|consume|none|1|1|1|1048576|2000|mbps>=0.8"
	"synced 16 KiB, 16 connections|produce|always:synced|1|16|1|16384|200|mbps>=1.3 p99<=1"
	"synced 16 KiB, 64 connections|produce|always:synced|1|64|1|16384|300|mbps>=1.3 p99<=1"
	"synced 1.1 KB, 1 connection|produce|always:synced|1|1|1|1100|8|p50<=1.3"
	"journal 16 KiB, 64 partitions|produce|journal|64|64|1|16384|600|mbps>=0.6"
	"journal 16 KiB, 64 partitions, synced floor|produce|journal:synced|64|64|1|16384|300|mbps>=1.8 p99<=0.5"
	"journal 16 KiB, 1 partition|produce|journal|1|64|1|16384|600|mbps>=0.6"
	"journal 16 KiB, 1,000 partitions|produce|journal|1000|64|1|16384|600|mbps>=0.4"
	"open loop 5,000 × 4 KiB a second|open|none|1|4|5|4096|10|p999<=1.5"
)

# load SIDE-PID ADDRESS TOPIC WHAT PARTITIONS CONNECTIONS INFLIGHT BATCH AMOUNT prints rawload's line of figures.
load() {
	local args=(-pid "$1" -addr "$2" -topic "$3" -parts "$5" -conns "$6" -inflight "$7")
	case $4 in
	produce) timeout 300 "$work/rawload" produce "${args[@]}" -batch "$8" -total "$(($9 * scale * 10000))" ;;
	consume) timeout 300 "$work/rawload" consume "${args[@]}" -max "$8" -total "$(($9 * scale * 10000))" ;;
	open) timeout 300 "$work/rawload" produce "${args[@]}" -batch "$8" -rate 5000 -dur "$(($9 * scale * 10))ms" ;;
	esac
}

# turn ROW-FIELDS: one measurement of each side, on fresh files. The floor knows no topics, so it is a new one each time.
# Who comes first changes from turn to turn: it meets what the row before left to be written back.
turn() {
	local name=$1 what=$2 sync=$3 parts=$4 connections=$5 sides=(floor bobbin) side
	if ((n % 2)); then sides=(bobbin floor); fi
	topic="t$((++topics))"
	if [[ $sync = *:synced ]]; then floor_flags=(-sync); else floor_flags=(); fi
	sync=${sync%:synced}
	"begin_${sides[0]}" && "begin_${sides[1]}"
	for side in "${sides[@]}"; do
		# Some records to each partition: its first one makes its files, which is not what a row is about.
		timeout 300 "$work/rawload" produce -addr "$(address_of "$side")" -topic "$topic" -parts "$parts" -conns "$connections" -inflight 1 \
			-batch 1100 -total $((parts * 4400)) >/dev/null
		# More than is read: at the end of a log the floor answers at once, and a broker waits as long as it was asked to.
		[ "$what" != consume ] || load "$(pid_of "$side")" "$(address_of "$side")" "$topic" produce 1 1 5 65536 $(($8 * 11 / 10)) >/dev/null
	done
	for side in "${sides[@]}"; do
		printf '%s\t%s\t%s\n' "$name" "$side" "$(load "$(pid_of "$side")" "$(address_of "$side")" "$topic" "$what" "${@:4}")" >>"$work/figures"
	done
	end_process KILL "$floor_pid" || true
	floor_pid=
	rm -rf "$work/floor"
	"$work/bobbin" topic delete "$topic" -b "$(address_of bobbin)" >/dev/null
}

begin_floor() {
	mkdir "$work/floor"
	"$work/floor-bin" -addr "$(address_of floor)" -dir "$work/floor" "${floor_flags[@]}" >"$work/floor.log" 2>&1 </dev/null &
	floor_pid=$!
	wait_listening 127.0.0.1 "$floor_port" "$floor_pid" 10
}

begin_bobbin() {
	"$work/rawload" create -addr "$(address_of bobbin)" -topic "$topic" -parts "$parts" -conf "bobbin.sync=$sync" >"$work/create.log"
	grep -q 'code=0 ' "$work/create.log" || { cat "$work/create.log" >&2; return 1; }
}

address_of() { if [ "$1" = floor ]; then echo "127.0.0.1:$floor_port"; else echo "127.0.0.1:$port"; fi; }
pid_of() { if [ "$1" = floor ]; then echo "$floor_pid"; else echo "$broker_pid"; fi; }

rss_mb() { awk '/^VmRSS:/ {print int($2 / 1024)}' "/proc/$1/status"; }

# first_record: an empty directory to the first acknowledged record, in milliseconds.
first_record() {
	local p pid
	for ((i = 0; i < turns; i++)); do
		p=$(free_port)
		"$work/bobbin" serve --override "listeners=PLAINTEXT://127.0.0.1:$p" --override "log.dirs=$work/first" >>"$work/first.log" 2>&1 </dev/null &
		pid=$!
		timeout 60 "$work/rawload" first -addr "127.0.0.1:$p" -topic first
		end_process TERM "$pid" || true
		rm -rf "$work/first"
	done
}

# wanted NAME: all rows, or those that one of the words given is part of.
wanted() {
	local word
	[ ${#words[@]} -gt 0 ] || return 0
	for word in "${words[@]}"; do [[ $1 != *"$word"* ]] || return 0; done
	return 1
}

words=("$@")
topics=0 topic=
build_bobbin "$work/bobbin"
(cd "$RAWLOAD_DIR" && GOFLAGS=-buildvcs=false go build -o "$work/rawload" .)
(cd "$FLOOR_DIR" && GOFLAGS=-buildvcs=false go build -o "$work/floor-bin" .)
port=$(free_port)
floor_port=$(free_port)
: >"$work/figures"
if wanted "first record"; then first_record >"$work/firsts"; fi
start_broker "$work/bobbin" "$port" "$work/data" "$work/broker.log"
sleep 1
rss_start=$(rss_mb "$broker_pid")
for ((n = 0; n < turns; n++)); do
	for row in "${rows[@]}"; do
		IFS='|' read -r -a f <<<"$row"
		if wanted "${f[0]}"; then turn "${f[@]:0:8}"; fi
	done
done
rss_end=$(rss_mb "$broker_pid")

printf '%s\n' "${rows[@]}" >"$work/rows"
python3 - "$work" "$rss_start" "$rss_end" "$turns" <<'END'
import os, re, statistics, sys

work, rss_start, rss_end, turns = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
KEYS = {"mbps": ("MB/s", "MB/s"), "cpu": ("cpu_s/GB", "CPU s/GB"), "p50": ("p50_us", "p50 µs"), "p99": ("p99_us", "p99 µs"), "p999": ("p999_us", "p99.9 µs")}
seen, short = {}, 0
for line in open(f"{work}/figures"):
    name, side, figures = line.rstrip("\n").split("\t")
    for key, value in re.findall(r"(\S+)=([\d.]+)", figures):
        seen.setdefault((name, key), {}).setdefault(side, []).append(float(value))

def show(name, figure, floor, ours, ratio, bound, ok):
    global short
    short += not ok
    print(f"{name:45} {figure:9} {floor:>9} {ours:>9} {ratio:>7} {bound:>7}  {'ok' if ok else 'SHORT'}")

print(f"medians of {turns} turns")
print(f"{'work':45} {'figure':9} {'floor':>9} {'bobbin':>9} {'ratio':>7} {'bound':>7}")
for row in open(f"{work}/rows"):
    name, *_, bounds = row.rstrip("\n").split("|")
    for what, op, bound in re.findall(r"(\w+)(>=|<=)([\d.]+)", bounds):
        key, label = KEYS[what]
        both = seen.get((name, key))
        if both:
            ratio = statistics.median(b / max(f, 1e-9) for f, b in zip(both["floor"], both["bobbin"]))
            ok = ratio >= float(bound) if op == ">=" else ratio <= float(bound)
            show(name, label, f"{statistics.median(both['floor']):g}", f"{statistics.median(both['bobbin']):g}", f"{ratio:.2f}", op + bound, ok)
one, many = (seen.get((f"journal 16 KiB, {n}", "MB/s")) for n in ("1 partition", "1,000 partitions"))
if one and many:
    ratio = statistics.median(m / max(o, 1e-9) for o, m in zip(one["bobbin"], many["bobbin"]))
    show("journal, 1,000 partitions beside 1 of them", "MB/s", "", f"{statistics.median(many['bobbin']):g}", f"{ratio:.2f}", ">=0.8", ratio >= 0.8)
if os.path.exists(f"{work}/firsts"):
    ms = [float(m) for m in re.findall(r"ms=([\d.]+)", open(f"{work}/firsts").read())]
    if ms:
        m = statistics.median(ms)
        show("an empty directory to the first record", "ms", "", f"{m:.0f}", "", "<=50", m <= 50)
show("resident memory after start", "MB", "", rss_start, "", "<=25", rss_start <= 25)
show("resident memory after all of the above", "MB", "", rss_end, "", "<=60", rss_end <= 60)
sys.exit(1 if short else 0)
END
