# An Apache Kafka node beside Bobbin. Sourced by the other scripts, after install.sh and broker.sh; install_kafka comes
# first.
# shellcheck shell=bash

kafka_pid=

# kafka_node VERB: format, start or stop a single node in $work/kafka, at $kafka_port and $controller_port.
kafka_node() {
	local java=(java "-Xmx${KAFKA_HEAP:-512M}" "-Dlog4j2.configurationFile=$cache/log4j2.yaml" -cp "$kafka_broker") dir=$work/kafka
	case $1 in
	format)
		mkdir -p "$dir"
		cat >"$dir/server.properties" <<-END
			process.roles=broker,controller
			node.id=1
			controller.quorum.voters=1@127.0.0.1:$controller_port
			listeners=PLAINTEXT://127.0.0.1:$kafka_port,CONTROLLER://127.0.0.1:$controller_port
			controller.listener.names=CONTROLLER
			listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
			log.dirs=$dir/data
			offsets.topic.replication.factor=1
		END
		"${java[@]}" kafka.tools.StorageTool format -t MkU3OEVBNTcwNTJENDM2Qg -c "$dir/server.properties" >"$dir/format.log" 2>&1
		;;
	start)
		"${java[@]}" kafka.Kafka "$dir/server.properties" >>"$dir/broker.log" 2>&1 </dev/null &
		kafka_pid=$!
		wait_listening 127.0.0.1 "$kafka_port" "$kafka_pid" 120
		;;
	stop)
		end_process TERM "$kafka_pid"
		kafka_pid=
		;;
	esac
}
