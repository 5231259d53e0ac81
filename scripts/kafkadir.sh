#!/usr/bin/env bash
# A data directory that Apache Kafka wrote is served by Bobbin byte for byte, and goes back to Apache Kafka:
#
#   1. a Kafka broker gets topics of every codec, transactions that commit, abort, and stay open, a compacted topic, several
#      segments each, and writes down what it serves: topics with ids, partitions and configs, the bytes of every batch, the
#      last stable offsets, and the aborted transactions that consumers of committed data are told of
#   2. it is stopped, once cleanly and once by kill -9; Bobbin starts on a copy of its directory, of which the indexes of
#      aborted transactions are damaged, and must serve the same; log verify finds that damage and nothing else
#   3. Bobbin gets more records and stops; DumpLogSegments judges the files
#   4. Kafka starts on that directory again, and must serve what Bobbin served
#
#   scripts/kafkadir.sh            about two minutes; the first run fetches Apache Kafka
# The exit code is 1 when anything differs.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/install.sh
. "$here/install.sh"
# shellcheck source=scripts/broker.sh
. "$here/broker.sh"
# shellcheck source=scripts/judge.sh
. "$here/judge.sh"
usage "$@"

work=$(mktemp -d "${TMPDIR:-/tmp}/bobbin-kafkadir.XXXXXX")
failed=0
kafka_pid=

finish() {
	local status=$?
	[ -z "$broker_pid" ] || end_process KILL "$broker_pid" || true
	[ -z "$kafka_pid" ] || end_process KILL "$kafka_pid" || true
	if [ $status -eq 0 ]; then rm -rf "$work"; else echo "data and logs are kept in $work" >&2; fi
}
trap finish EXIT

# judge STATUS TEXT: a line of the report.
judge() {
	local word=ok
	[ "$1" -eq 0 ] || { word=FAILED failed=1; }
	printf '%-7s %s\n' "$word" "$2"
}

# start_kafka DATA_DIR starts Apache Kafka, formatting the directory if there is none.
start_kafka() {
	local java=(java -Xmx512M "-Dlog4j2.configurationFile=$cache/log4j2.yaml" -cp "$kafka_broker")
	cat >"$work/server.properties" <<-END
		process.roles=broker,controller
		node.id=1
		controller.quorum.voters=1@127.0.0.1:$controller_port
		listeners=PLAINTEXT://127.0.0.1:$kafka_port,CONTROLLER://127.0.0.1:$controller_port
		controller.listener.names=CONTROLLER
		listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
		log.dirs=$1
		offsets.topic.replication.factor=1
		offsets.topic.num.partitions=2
		transaction.state.log.replication.factor=1
		transaction.state.log.min.isr=1
		transaction.state.log.num.partitions=2
		log.cleaner.backoff.ms=500
	END
	[ -d "$1" ] || "${java[@]}" kafka.tools.StorageTool format -t MkU3OEVBNTcwNTJENDM2Qg -c "$work/server.properties" >"$work/format.log" 2>&1
	"${java[@]}" kafka.Kafka "$work/server.properties" >>"$work/kafka.log" 2>&1 </dev/null &
	kafka_pid=$!
	wait_listening 127.0.0.1 "$kafka_port" "$kafka_pid" 120
}

stop_kafka() {
	end_process "$1" "$kafka_pid" || true
	kafka_pid=
}

# quiet WHAT waits until a broker's cleaner has no more to do: two looks at what it serves are the same.
quiet() {
	local at="$work/served-$1" port=$2
	for _ in $(seq 20); do
		rm -rf "$at.new"
		"$work/kafkadir" serve "127.0.0.1:$port" "$at.new"
		if [ -d "$at" ] && diff -rq "$at" "$at.new" >/dev/null; then return; fi
		rm -rf "$at"
		mv "$at.new" "$at"
		sleep 1
	done
	echo "what the broker serves does not come to rest" >&2
	return 1
}

# same A B TEXT
same() {
	local status=0
	diff -r "$work/served-$1" "$work/served-$2" >"$work/diff" || status=1
	judge $status "$3: $(find "$work/served-$1" -type f | wc -l) partitions, $(du -sb "$work/served-$1" | cut -f 1) bytes $(head -c 300 "$work/diff" | tr '\n' ' ')"
}

# verified CODE DIR TEXT: log verify ends with this code.
verified() {
	local code=0
	"$work/bobbin" log verify "$2" >"$work/said" 2>&1 || code=$?
	judge "$([ "$code" -eq "$1" ] && echo 0 || echo 1)" "$3: $(tail -1 "$work/said")"
}

# held_back DIR: what Apache Kafka served of transactions that it had not ended.
held_back() {
	local part end stable
	for part in "$1"/transactions-*; do
		end=$(grep -ao 'isolation 0: .* up to offset [0-9]*' "$part" | grep -o 'offset [0-9]*')
		stable=$(grep -ao 'isolation 1: .* up to offset [0-9]*' "$part" | grep -o 'offset [0-9]*')
		[ -n "$end" ] && [ "$end" != "$stable" ] || return 1
	done
}

# on_bobbin NAME: Bobbin on a copy of what Kafka left in $work/data-NAME.
on_bobbin() {
	local data="$work/data-$1" files
	cp -r "$data" "$data-bobbin"
	verified 0 "$data-bobbin" "log verify finds nothing wrong, $1"
	find "$data-bobbin" -name '*.txnindex' -size +0 -exec truncate -s -3 {} +
	# What the compaction of Bobbin does is another test's matter.
	start_broker "$work/bobbin" "$port" "$data-bobbin" "$work/bobbin-$1.log" --override log.cleaner.enable=false
	"$work/kafkadir" serve "127.0.0.1:$port" "$work/served-$1-bobbin"
	same "$1" "$1-bobbin" "Bobbin serves what Apache Kafka served, $1"
	judge "$(held_back "$work/served-$1" && echo 0 || echo 1)" "consumers of committed data are held back, $1"
	"$work/bobbin" produce -b "127.0.0.1:$port" codec-none --compression zstd < <(seq 20000) >/dev/null
	rm -rf "$work/served-$1-more"
	"$work/kafkadir" serve "127.0.0.1:$port" "$work/served-$1-more"
	end_process TERM "$broker_pid" || judge 1 "clean stop"
	broker_pid=
	files=$(find "$data-bobbin" -path '*/codec-*' -name '*.log' -size +0 | sort | paste -sd , -)
	complaints --deep-iteration "$files" >"$work/said" || true
	judge "$([ -s "$work/said" ] && echo 1 || echo 0)" "DumpLogSegments finds nothing wrong $(head -c 300 "$work/said")"
	start_kafka "$data-bobbin"
	quiet "$1-back" "$kafka_port"
	same "$1-more" "$1-back" "Apache Kafka goes on with what Bobbin left, $1"
	stop_kafka TERM
}

require go python3 timeout java mvn
install_tools
install_kafka
build_bobbin "$work/bobbin"
(cd "$repo" && go build -o "$work/kafkadir" ./scripts/kafkadir)
port=$(free_port)
kafka_port=$(free_port)
controller_port=$(free_port)

start_kafka "$work/data"
"$work/kafkadir" fill "127.0.0.1:$kafka_port"
"$work/kafkadir" open "127.0.0.1:$kafka_port" open-when-stopped
quiet clean "$kafka_port"
stop_kafka TERM
cp -r "$work/data" "$work/data-clean"
start_kafka "$work/data"
"$work/kafkadir" more "127.0.0.1:$kafka_port" 100
"$work/kafkadir" open "127.0.0.1:$kafka_port" open-when-killed
quiet killed "$kafka_port"
stop_kafka KILL
cp -r "$work/data" "$work/data-killed"
on_bobbin clean
on_bobbin killed
exit $failed
