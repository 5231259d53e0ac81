# Real clients, and Apache Kafka itself, from their registries (apt, PyPI, npm, Maven Central, the Go proxy) into a cache
# directory, each under the name of its version, so that a second run fetches nothing. Sourced by the other scripts.
# shellcheck shell=bash

cache=${BOBBIN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/bobbin-interop}
mkdir -p "$cache"

kafka_version=4.4.0       # broker and Java client
kafka_tools_version=4.3.1 # the newest kafka-tools that was published to Maven Central
confluent_version=2.16.1
kafkajs_version=2.2.4
dependency_plugin_version=3.8.1 # of Maven, which would else ask for the newest
java_flags=(-Xmx512M -XX:+UseSerialGC -XX:TieredStopAtLevel=1 "-Dlog4j2.configurationFile=$cache/log4j2.yaml")

# require COMMAND…: says which of them are missing.
require() {
	local missing=() c
	for c in "$@"; do command -v "$c" >/dev/null || missing+=("$c"); done
	[ ${#missing[@]} -eq 0 ] || { echo "missing: ${missing[*]} (Go 1.26, a JDK of 17 or newer, Maven, Node and Python 3 are needed)" >&2; exit 2; }
}

# again COMMAND…: runs it, and up to four times more if it fails, in the course of four minutes: registries have bad
# moments.
again() {
	local pause
	for pause in 5 15 60 150; do
		"$@" && return
		sleep $pause
	done
	"$@"
}

install_kcat() {
	command -v kcat >/dev/null && return
	local apt=(apt-get -qq -o DPkg::Lock::Timeout=600) # a fresh machine may be upgrading itself
	{ again "${apt[@]}" update && DEBIAN_FRONTEND=noninteractive again "${apt[@]}" install -y --no-install-recommends kcat; } >&2 </dev/null
}

# install_confluent sets $python to an interpreter that has confluent-kafka.
install_confluent() {
	local dir=$cache/confluent-kafka-$confluent_version
	python=$dir/bin/python
	[ -e "$dir/ready" ] && return
	rm -rf "$dir"
	python3 -m venv "$dir" >&2
	again "$dir/bin/pip" install --quiet --disable-pip-version-check "confluent-kafka==$confluent_version" >&2
	touch "$dir/ready"
}

# install_kafkajs sets NODE_PATH to kafkajs and codecs in plain JavaScript or WebAssembly.
install_kafkajs() {
	local dir=$cache/kafkajs-$kafkajs_version
	export NODE_PATH=$dir/node_modules
	[ -e "$dir/ready" ] && return
	rm -rf "$dir"
	mkdir -p "$dir"
	again npm install --prefix "$dir" --silent --no-audit --no-fund --ignore-scripts \
		"kafkajs@$kafkajs_version" kafkajs-snappy@1.1.0 lz4js@0.2.0 zstd-codec@0.1.5 >&2 </dev/null
	touch "$dir/ready"
}

# jars NAME GROUP:ARTIFACT:VERSION…: copies artifacts and what they need to $cache/NAME.
jars() {
	local dir=$cache/$1 d g a v
	shift
	logging
	[ -d "$dir" ] && return
	{
		echo '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
		echo '<groupId>bobbin</groupId><artifactId>interop</artifactId><version>1</version>'
		# kafka_2.13 4.4.0 asks for a kafka-tools-api that was never published.
		echo '<dependencyManagement><dependencies><dependency><groupId>org.apache.kafka</groupId>'
		echo "<artifactId>kafka-tools-api</artifactId><version>$kafka_tools_version</version></dependency></dependencies></dependencyManagement>"
		echo '<dependencies>'
		for d in "$@" org.apache.logging.log4j:log4j-slf4j-impl:2.25.4; do
			IFS=: read -r g a v <<<"$d"
			echo "<dependency><groupId>$g</groupId><artifactId>$a</artifactId><version>$v</version></dependency>"
		done
		echo '</dependencies></project>'
	} >"$dir.pom.xml"
	rm -rf "$dir.part"
	again mvn -U -B -q -Dstyle.color=never -f "$dir.pom.xml" "org.apache.maven.plugins:maven-dependency-plugin:$dependency_plugin_version:copy-dependencies" "-DoutputDirectory=$dir.part" -DincludeScope=runtime >&2 </dev/null
	mv "$dir.part" "$dir"
}

logging() {
	cat >"$cache/log4j2.yaml" <<-'END'
		Configuration:
		  Appenders:
		    Console: {name: STDERR, target: SYSTEM_ERR, PatternLayout: {pattern: "[%d] %p %m (%c)%n"}}
		  Loggers:
		    Root: {level: ERROR, AppenderRef: [{ref: STDERR}]}
	END
}

# install_java_client sets $java_client to the class path of Apache Kafka's own client.
install_java_client() {
	jars "kafka-clients-$kafka_version" "org.apache.kafka:kafka-clients:$kafka_version"
	java_client="$cache/kafka-clients-$kafka_version/*"
}

# install_tools sets $TOOL to a command that runs a class of Kafka's console tools.
install_tools() {
	jars "kafka-tools-$kafka_tools_version" "org.apache.kafka:kafka-tools:$kafka_tools_version" "org.apache.kafka:kafka_2.13:$kafka_tools_version"
	export TOOL=$cache/kafka-tools-$kafka_tools_version.sh
	{
		echo '#!/usr/bin/env bash'
		printf 'exec java'
		printf ' %q' "${java_flags[@]}"
		printf ' -cp %q "$@"\n' "$cache/kafka-tools-$kafka_tools_version/*"
	} >"$TOOL"
	chmod +x "$TOOL"
}

# install_kafka sets $kafka_broker to the class path of a whole Apache Kafka.
install_kafka() {
	jars "kafka-$kafka_version" "org.apache.kafka:kafka_2.13:$kafka_version"
	kafka_broker="$cache/kafka-$kafka_version/*"
}
