#!/usr/bin/env bash
# Clients' own test suites against a fresh Bobbin: what other people wrote down about brokers, and not we.
#
#   scripts/suites.sh             franz-go's tests of pkg/kgo, of the release that scripts/interop/go uses; about a minute
#   scripts/suites.sh -run REGEX  some of them (any flags of go test)
#
# Left out is what needs consumer groups, transactions, share groups or SASL, by name where the name says so. The others:
# TestIssue523 and 1034 consume in a group, TestConsumeRegex waits for the topic __consumer_offsets.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/broker.sh
. "$here/broker.sh"
usage "$@"

work=$(mktemp -d "${TMPDIR:-/tmp}/bobbin-suites.XXXXXX")

finish() {
	[ -z "$broker_pid" ] || end_process TERM "$broker_pid" || true
	rm -rf "$work"
}
trap finish EXIT

build_bobbin "$work/bobbin"
port=$(free_port)
start_broker "$work/bobbin" "$port" "$work/data" "$work/broker.log"
cd "$here/interop/go"
KGO_SEEDS=127.0.0.1:$port KGO_TEST_RF=1 go test -count=1 -timeout 5m \
	-skip 'Group|Txn|Share|848|SCRAM|^TestIssue(523|1034)$|^TestConsumeRegex$' "$@" github.com/twmb/franz-go/pkg/kgo
