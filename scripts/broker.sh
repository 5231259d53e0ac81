# Builds, starts and stops a Bobbin broker of this checkout. Sourced by the other scripts.
# shellcheck shell=bash

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
broker_pid=

# usage "$@" prints the comment that a script opens with, and ends it, if it is asked for by -h or --help.
usage() {
	case ${1:-} in -h | --help)
		awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"
		exit 0
		;;
	esac
}

# free_port prints a TCP port of 127.0.0.1 that nobody listens on, below those that the system hands to outgoing
# connections: one of these could take it while a broker is down for a moment.
free_port() {
	python3 - <<-'END'
		import random, socket
		while True:
		    port = random.randrange(20000, 32000)
		    with socket.socket() as s:
		        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1) # as the broker's will
		        try:
		            s.bind(("127.0.0.1", port))
		            s.listen()
		        except OSError:
		            continue
		        print(port)
		        break
	END
}

# build_bobbin FILE builds the binary.
build_bobbin() { (cd "$repo" && CGO_ENABLED=0 go build -o "$1" ./cmd/bobbin); }

# start_broker BINARY PORT DATA_DIR LOG_FILE [ARG…] starts a broker, sets broker_pid and returns once it is listening.
# It does not return for a broker that ends or is not there after five minutes.
start_broker() {
	local binary=$1 port=$2 data=$3 log=$4
	shift 4
	"$binary" serve --override "listeners=PLAINTEXT://127.0.0.1:$port" --override "log.dirs=$data" "$@" >>"$log" 2>&1 </dev/null &
	broker_pid=$!
	wait_listening 127.0.0.1 "$port" "$broker_pid" 300 || { echo "the broker did not start; its last words:" >&2; tail -n 20 "$log" >&2; exit 1; }
}

# wait_listening HOST PORT PID SECONDS waits until a process accepts connections.
wait_listening() {
	local end=$((SECONDS + $4))
	until (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; do
		kill -0 "$3" 2>/dev/null && [ $SECONDS -lt $end ] || return 1
		sleep 0.02
	done
}

# end_process SIGNAL PID ends a child and waits for it: two minutes at most, then it is killed and 1 returned.
end_process() {
	local end=$((SECONDS + 120)) status=0
	kill "-$1" "$2" 2>/dev/null || return 0
	{ # bash reports a killed child whenever it notices
		while kill -0 "$2"; do
			if [ $SECONDS -ge $end ]; then
				kill -KILL "$2"
				status=1
				break
			fi
			sleep 0.02
		done
		wait "$2" || true
	} 2>/dev/null
	return $status
}
