# Apache Kafka's DumpLogSegments as the judge of segments and indexes. Sourced by the other scripts.
# shellcheck shell=bash

# complaints FLAG FILES prints what DumpLogSegments, run by $TOOL with that flag on files separated by commas, finds
# wrong; nothing when all is well. What it finds wrong it writes to stderr, a damaged batch to its listing.
complaints() {
	local listing status=0
	listing=$(mktemp)
	set -- "$1" "$2" "$(tr ',' '\n' <<<"$2" | wc -l)"
	if [ "$1" = --deep-iteration ]; then set -- "$@" --skip-record-metadata; fi # a line a record, else
	timeout 1200 "$TOOL" org.apache.kafka.tools.DumpLogSegments "$1" "${@:4}" --files "$2" 2>&1 >"$listing" | no_false_alarms || status=$?
	grep -E 'isvalid: false|invalid bytes' "$listing"
	[ $status -eq 0 ] || echo "DumpLogSegments ended with code $status"
	status=$(grep -c '^Dumping ' "$listing")
	[ "$status" -eq "$3" ] || echo "it read $status of $3 files"
	rm -f "$listing"
}

# no_false_alarms leaves out what the tool in version 4.3.1 says of every segment that does not start at offset 0: that
# «-1 is followed by» its first offset. It starts to count at -1 where it should start at the first record.
no_false_alarms() {
	awk '
		/^Non-consecutive offsets in / { heading = $0; n = split($0, parts, "/"); base = parts[n] + 0; next }
		/^  -1 is followed by / && heading != "" && $NF + 0 == base { next }
		{ if (heading != "") print heading; heading = ""; print }'
}
