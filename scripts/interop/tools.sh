#!/usr/bin/env bash
# Apache Kafka's own console tools against a broker, a case a line.
#   BOOTSTRAP=host:port RUN=prefix TOOL='command that runs a class' tools.sh
#   DATA_DIR=dir RUN=prefix TOOL=… tools.sh dump     DumpLogSegments on what the run left, once the broker has stopped
set -uo pipefail
# shellcheck source=scripts/judge.sh
. "$(dirname "${BASH_SOURCE[0]}")/../judge.sh"

: "${RUN:?a prefix for topics}" "${TOOL:?the command that runs a class of Kafka}"
[ "${1:-}" = dump ] || : "${BOOTSTRAP:?host:port of the broker}"
failed=0
out=$(mktemp)
trap 'rm -f "$out"' EXIT

tool() { timeout 300 $TOOL "org.apache.kafka.tools.$1" "${@:2}"; }
topics() { tool TopicCommand --bootstrap-server "$BOOTSTRAP" "$@"; }

# report NAME FUNCTION: runs the function, prints its line; what it printed explains a failure.
report() {
	if "$2" >"$out" 2>&1; then
		echo "PASS tools: $1"
	else
		failed=1
		echo "FAIL tools: $1: $(tail -n 3 "$out" | tr '\n' ' ' | cut -c 1-400)"
		cat "$out" >&2
	fi
}

# due GOT WANT: fails unless both are equal.
due() { [ "$1" = "$2" ] || { printf 'got «%s», want «%s»\n' "$1" "$2"; return 1; }; }

topic_life() {
	local t=$RUN-tools-life
	topics --create --topic "$t" --partitions 3 --replication-factor 1 --config retention.ms=100000000 &&
		topics --create --topic "$t" --if-not-exists &&
		! topics --create --topic "$t" 2>/dev/null &&
		due "$(topics --list | grep -c "^$t\$")" 1 &&
		due "$(topics --describe --topic "$t" | grep -c "Leader: ")" 3 &&
		topics --alter --topic "$t" --partitions 5 &&
		due "$(topics --describe --topic "$t" | grep -c "Leader: ")" 5 &&
		due "$(topics --describe --topic "$t" --unavailable-partitions)" "" &&
		topics --delete --topic "$t" &&
		due "$(topics --list | grep -c "^$t\$")" 0
}

# broker_configs: a default of topics is changed while the broker runs, for all brokers and for one, and put back.
broker_configs() {
	local key=log.index.interval.bytes
	configs --entity-default --alter --add-config "$key=5000" &&
		configs --entity-name 1 --alter --add-config "$key=6000" &&
		due "$(configs --entity-name 1 --describe | grep -o "$key=.*")" "$key=6000 sensitive=false synonyms={DYNAMIC_BROKER_CONFIG:$key=6000, DYNAMIC_DEFAULT_BROKER_CONFIG:$key=5000, DEFAULT_CONFIG:$key=4096}" &&
		! configs --entity-name 1 --alter --add-config node.id=2 2>/dev/null &&
		configs --entity-name 1 --alter --delete-config "$key" &&
		configs --entity-default --alter --delete-config "$key" &&
		due "$(configs --entity-name 1 --describe | grep -o "$key=.*")" ""
}
configs() { timeout 300 $TOOL kafka.admin.ConfigCommand --bootstrap-server "$BOOTSTRAP" --entity-type brokers "$@"; }

# console CODEC: lines with a key and a header through the console producer and back through the console consumer.
console() {
	local t=$RUN-tools-console-$1 want
	topics --create --topic "$t" --partitions 1 --replication-factor 1 || return
	want=$(for i in $(seq 1 200); do printf 'n:%d\tkey %d\tvalue %d\n' "$i" "$i" "$i"; done)
	# It would wait 1.5 seconds for an answer, and give up after four times that.
	tool ConsoleProducer --bootstrap-server "$BOOTSTRAP" --topic "$t" --compression-codec "$1" --request-timeout-ms 100000 \
		--reader-property parse.key=true --reader-property parse.headers=true <<<"$want" || return
	due "$(consumed "$t" 0 200)" "$want" && due "$(consumed "$t" 150 50)" "$(tail -n 50 <<<"$want")"
}

# consumed TOPIC OFFSET COUNT
consumed() {
	tool consumer.ConsoleConsumer --bootstrap-server "$BOOTSTRAP" --topic "$1" --partition 0 --offset "$2" --max-messages "$3" \
		--timeout-ms 120000 --formatter-property print.key=true --formatter-property print.headers=true 2>/dev/null
}
console_none() { console none; }
console_gzip() { console gzip; }
console_snappy() { console snappy; }
console_lz4() { console lz4; }
console_zstd() { console zstd; }

offsets() {
	local t=$RUN-tools-console-zstd at
	due "$(tool GetOffsetShell --bootstrap-server "$BOOTSTRAP" --topic "$t" --time earliest)" "$t:0:0" || return
	for at in latest -1; do
		due "$(tool GetOffsetShell --bootstrap-server "$BOOTSTRAP" --topic "$t" --time "$at")" "$t:0:200" || return
	done
	due "$(tool GetOffsetShell --bootstrap-server "$BOOTSTRAP" --topic "$t" --time max-timestamp | cut -d : -f 1-2)" "$t:0"
}

performance() {
	local t=$RUN-tools-perf
	topics --create --topic "$t" --partitions 2 --replication-factor 1 &&
		tool ProducerPerformance --bootstrap-server "$BOOTSTRAP" --topic "$t" --num-records 20000 --record-size 500 \
			--throughput -1 --command-property compression.type=lz4 | grep -q '^20000 records sent' &&
		due "$(tool GetOffsetShell --bootstrap-server "$BOOTSTRAP" --topic "$t" | awk -F : '{n += $3} END {print n}')" 20000
}

verifiable() {
	local t=$RUN-tools-verifiable acked
	topics --create --topic "$t" --partitions 1 --replication-factor 1 || return
	acked=$(tool VerifiableProducer --bootstrap-server "$BOOTSTRAP" --topic "$t" --max-messages 500 --acks -1 |
		grep -c producer_send_success)
	due "$acked" 500 && due "$(tool consumer.ConsoleConsumer --bootstrap-server "$BOOTSTRAP" --topic "$t" --partition 0 --offset earliest \
		--max-messages 500 --timeout-ms 120000 2>/dev/null)" "$(seq 0 499)"
}

api_versions() { tool BrokerApiVersionsCommand --bootstrap-server "$BOOTSTRAP" | grep -q 'Produce(0): '; }

# dump judges the files that the run left in DATA_DIR, of a broker that was stopped: an active index has spare room.
dump_logs() { judge '*.log' --deep-iteration; }
dump_indexes() { judge '*.index' --verify-index-only && judge '*.timeindex' --verify-index-only; }
sanity() { judge '*.index' --index-sanity-check && judge '*.timeindex' --index-sanity-check; }

# judge PATTERN FLAG: DumpLogSegments reads all files of that name, and finds nothing to say of them.
judge() {
	local files
	files=$(find "$DATA_DIR" -path "*/$RUN-*" -name "$1" | paste -sd , -)
	[ -n "$files" ] || { echo "no $1 of $RUN below $DATA_DIR"; return 1; }
	due "$(complaints "$2" "$files")" ""
}

if [ "${1:-}" = dump ]; then
	: "${DATA_DIR:?the directory of the stopped broker}"
	report "DumpLogSegments reads every segment" dump_logs
	report "DumpLogSegments finds every index in step with its segment" dump_indexes
	report "DumpLogSegments finds every index sane" sanity
	exit $failed
fi
report "create, describe, widen and delete a topic" topic_life
report "change a broker's configuration while it runs" broker_configs
report "console producer and consumer, none" console_none
report "console producer and consumer, gzip" console_gzip
report "console producer and consumer, snappy" console_snappy
report "console producer and consumer, lz4" console_lz4
report "console producer and consumer, zstd" console_zstd
report "offsets" offsets
report "producer performance" performance
report "verifiable producer" verifiable
report "api versions" api_versions
exit $failed
