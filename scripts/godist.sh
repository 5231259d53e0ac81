#!/usr/bin/env bash
# Real input, held to the byte: every line of every .go file of the Go distribution (about three million records) goes
# through `bobbin produce` with each compression into a topic of 8 partitions, while the broker is killed with -9 at
# random moments and started again on the same directory. Then:
#
#   1. kcat, another client, reads everything: nothing lost, nothing twice, order kept per partition, bytes identical
#   2. Apache Kafka's DumpLogSegments reads every segment and every index that this left on disk
#   3. a real Apache Kafka broker is started on a copy of the partitions' directories and serves the same records
#
#   scripts/godist.sh                          all of it: some minutes
#   LINES=100000 KILLS=5 scripts/godist.sh     a small run
#
# LINES (all)           how many records for each compression
# KILLS (20)            kills in all, spread over the compressions; SEED chooses their moments and is printed
# CODECS                none gzip snappy lz4 zstd
# SYNC (always)         bobbin.sync of the topics
# SEGMENT_BYTES (8 MiB) so that logs roll
# INPUT ($(go env GOROOT))
# Ends with a report of figures; the exit code is 1 when anything differs.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/install.sh
. "$here/install.sh"
# shellcheck source=scripts/broker.sh
. "$here/broker.sh"
# shellcheck source=scripts/judge.sh
. "$here/judge.sh"
# shellcheck source=scripts/kafka.sh
. "$here/kafka.sh"
usage "$@"

lines=${LINES:-}
kills=${KILLS:-20}
seed=${SEED:-$RANDOM}
sync=${SYNC:-always}
segment_bytes=${SEGMENT_BYTES:-8388608}
read -ra codecs <<<"${CODECS:-none gzip snappy lz4 zstd}"
readonly partitions=8 produce_seconds=900 record_bytes=4194304 # one line of the distribution has more than 1 MB
work=$(mktemp -d "${TMPDIR:-/tmp}/bobbin-godist.XXXXXX")
report=()
failed=0

finish() {
	local status=$?
	[ -z "$broker_pid" ] || end_process KILL "$broker_pid" || true
	[ -z "$kafka_pid" ] || end_process KILL "$kafka_pid" || true
	# shellcheck disable=SC2046 # one word for each process
	kill $(jobs -p) 2>/dev/null || true # a producer would try again for long
	if [ $status -eq 0 ]; then rm -rf "$work"; else echo "data and logs are kept in $work" >&2; fi
}
trap finish EXIT

say() { printf '%s  %s\n' "$(date +%T)" "$*"; }
# judge STATUS TEXT: a line of the report.
judge() {
	local word=ok
	[ "$1" -eq 0 ] || { word=FAILED failed=1; }
	report+=("$(printf '%-7s %s' "$word" "$2")")
	say "${report[-1]}"
}

start_bobbin() { start_broker "$work/bobbin" "$port" "$work/data" "$work/broker.log"; }

# kill_at_marks reads a line for each kill from descriptor 5; a moment after each it kills the broker and starts it again.
# Every moment comes from $RANDOM, which SEED sets.
kill_at_marks() {
	local _
	while read -r _ <&5; do
		sleep "0.$(printf '%03d' $((RANDOM % 150)))"
		if kill -0 "$producer_pid" 2>/dev/null; then in_flight=$((in_flight + 1)); fi
		end_process KILL "$broker_pid" || true
		killed=$((killed + 1))
		sleep "0.$(printf '%03d' $((RANDOM % 300)))"
		start_bobbin
	done
}

# produce CODEC KILLS sends the input to a new topic while the broker is killed.
produce() {
	local topic=godist-$1 begun=$SECONDS status=0
	"$work/bobbin" topic create "$topic" -b "$bootstrap" -p $partitions -c "bobbin.sync=$sync" -c "segment.bytes=$segment_bytes" \
		-c "max.message.bytes=$record_bytes" >/dev/null
	rm -f "$work/marks" "$work/feed"
	mkfifo "$work/marks" "$work/feed"
	"$work/godist" feed "$work/input" "$2" "$((seed + $2 + ${#1}))" 3>"$work/marks" >"$work/feed" &
	timeout $produce_seconds "$work/bobbin" produce -b "$bootstrap" -t "$topic" -z "$1" --key-separator '\t' --max-message-bytes $record_bytes - \
		<"$work/feed" >"$work/produce-$1.out" 2>"$work/produce-$1.log" &
	producer_pid=$!
	exec 5<"$work/marks"
	kill_at_marks
	exec 5<&-
	wait "$producer_pid" || status=$?
	judge $status "produce $1: $(awk '/^godist-/ {n += $3} END {print n + 0}' "$work/produce-$1.out") records acknowledged in $((SECONDS - begun)) s"
}

# consume BOOTSTRAP TOPIC DIR: kcat writes what each partition holds as «key TAB line».
consume() {
	local p pids=() status=0
	mkdir -p "$3"
	for ((p = 0; p < partitions; p++)); do
		timeout 600 kcat -q -C -b "$1" -t "$2" -p $p -o beginning -e -f '%k\t%s\n' >"$3/$p" </dev/null &
		pids+=($!)
	done
	for p in "${pids[@]}"; do wait "$p" || status=$?; done
	return $status
}

# dump FLAG PATTERN: DumpLogSegments reads every file of that name and finds nothing wrong.
dump() {
	local files said
	files=$(find "$work/data" -path '*/godist-*' -name "$2" | sort | paste -sd , -)
	said=$(complaints "$1" "$files" || true)
	judge "$([ -z "$said" ] && echo 0 || echo 1)" "DumpLogSegments $1: $(tr ',' '\n' <<<"$files" | wc -l) files $2 ${said:0:300}"
}

# on_kafka has Apache Kafka make the same topics, puts our files in the place of its own, and reads them from it. Kafka
# keeps its partition.metadata, which holds its topic id.
on_kafka() {
	local codec p from to status
	kafka_node format && kafka_node start || { judge 1 "Apache Kafka did not start: $(tail -n 1 "$work/kafka/broker.log")"; return; }
	for codec in "${codecs[@]}"; do
		"$TOOL" org.apache.kafka.tools.TopicCommand --bootstrap-server "127.0.0.1:$kafka_port" --create --topic "godist-$codec" \
			--partitions $partitions --replication-factor 1 --config "segment.bytes=$segment_bytes" --config "max.message.bytes=$record_bytes" >/dev/null
	done
	kafka_node stop || true
	for codec in "${codecs[@]}"; do
		for ((p = 0; p < partitions; p++)); do
			from=$work/data/godist-$codec-$p to=$work/kafka/data/godist-$codec-$p
			find "$to" -type f ! -name partition.metadata -delete
			find "$from" -type f ! -name partition.metadata -exec cp {} "$to/" \;
		done
	done
	kafka_node start || { judge 1 "Apache Kafka did not start on our files: $(tail -n 1 "$work/kafka/broker.log")"; return; }
	for codec in "${codecs[@]}"; do
		status=0
		consume "127.0.0.1:$kafka_port" "godist-$codec" "$work/kafka-$codec" && diff -rq "$work/out-$codec" "$work/kafka-$codec" || status=1
		judge $status "Apache Kafka $kafka_version on our $partitions directories serves the same records, $codec"
		rm -rf "$work/kafka-$codec"
	done
	judge "$(grep -cE 'ERROR|Found invalid|[Cc]orrupt' "$work/kafka/broker.log" || true)" "Apache Kafka logs no error"
	kafka_node stop || true
}

require go python3 timeout java mvn
install_kcat
install_tools
install_kafka
build_bobbin "$work/bobbin"
(cd "$repo" && go build -o "$work/godist" ./scripts/godist)
"$work/godist" input "${INPUT:-$(go env GOROOT)}" ${lines:+"$lines"} >"$work/input"
port=$(free_port)
kafka_port=$(free_port)
controller_port=$(free_port)
bootstrap=127.0.0.1:$port
RANDOM=$seed killed=0 in_flight=0
say "$(wc -l <"$work/input") records, $(wc -c <"$work/input") bytes; ${codecs[*]}; $kills kills, SEED=$seed; $work"
start_bobbin
for i in "${!codecs[@]}"; do
	produce "${codecs[i]}" $((kills * (i + 1) / ${#codecs[@]} - kills * i / ${#codecs[@]}))
done
[ "$killed" -eq "$kills" ] || failed=1
report+=("        kills: $killed of $kills, $in_flight of them while a producer was at work")
for codec in "${codecs[@]}"; do
	status=0
	consume "$bootstrap" "godist-$codec" "$work/out-$codec" && figures=$("$work/godist" check "$work/input" "$work/out-$codec"/*) || status=$?
	judge $status "consume $codec with kcat: ${figures:-nothing}; $(du -sbc "$work/data/godist-$codec"-* | tail -n 1 | cut -f 1) bytes on disk"
done
status=0
end_process TERM "$broker_pid" || status=1
broker_pid=
judge $status "clean stop"
dump --deep-iteration '*.log'
for flag in --verify-index-only --index-sanity-check; do
	dump $flag '*.index'
	dump $flag '*.timeindex'
done
on_kafka
printf '\n%s\n' "godist: $(wc -l <"$work/input") records × ${#codecs[@]} compressions, SEED=$seed, bobbin.sync=$sync, $SECONDS s"
printf '%s\n' "${report[@]}"
exit $failed
