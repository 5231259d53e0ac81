#!/usr/bin/env bash
# Breaks a real broker process on purpose and checks what it promised: see scripts/faults/main.go. Some faults need root,
# for file systems on loop devices, and some strace. Everything listens on 127.0.0.1.
#
#   scripts/faults.sh                   all of them, in about twenty minutes
#   scripts/faults.sh kill power        some
#   DURATION=10m ROUNDS=500 SEED=7 scripts/faults.sh kill
#   DESIGNS='direct+mmap+journal,*+mmap+dsync' scripts/faults.sh power flush
#
# DURATION (1m)    for how long kill, write and compact go on, all designs together
# POWER (4m)       and power, with all file systems; each design has the power of each cut twice at least
# ROUNDS (60)      how many kills, cuts or stops at most, of each design
# DESIGNS          the brokers' designs instead of those that faults/main.go lists; a * is all of a family
# SEED             chooses the moments; it is printed
# BOBBIN           a binary to use instead of this checkout's
# The exit code is 1 when a promise was broken; data and logs are kept then, and their place is printed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/broker.sh
. "$here/broker.sh"
usage "$@"

work=$(mktemp -d "${TMPDIR:-/tmp}/bobbin-faults-bin.XXXXXX")
trap 'rm -rf "$work"' EXIT
binary=${BOBBIN:-$work/bobbin}
[ -n "${BOBBIN:-}" ] || build_bobbin "$binary"
(cd "$repo" && CGO_ENABLED=0 go build -o "$work/faults" ./scripts/faults)

failed=0
# fault NAME [FLAG…] runs one of them.
fault() {
	local name=$1
	shift
	"$work/faults" "$name" -bobbin "$binary" -duration "${DURATION:-1m}" -rounds "${ROUNDS:-60}" \
		${SEED:+-seed "$SEED"} ${DESIGNS:+-designs "$DESIGNS"} "$@" || failed=1
}
may() {
	[ "$(id -u)" -eq 0 ] || { echo "-- $1 is left out: it needs root"; return 1; }
}
# fuse builds the disk of our own. It has a module of its own, so that nobody else needs its libraries.
fuse() {
	[ -c /dev/fuse ] || { echo "-- $1 on a disk of our own is left out: there is no /dev/fuse"; return 1; }
	(cd "$here/faults/fusedisk" && CGO_ENABLED=0 go build -o "$work/fusedisk" .)
}
traced() {
	command -v strace >/dev/null || { echo "-- $1 is left out: it needs strace"; return 1; }
}

[ $# -gt 0 ] || set -- kill write power flush eio short full frames conns stop damage compact many
for name in "$@"; do
	case $name in
	power)
		may power || continue
		kinds=ext4
		if command -v mkfs.xfs >/dev/null || apt-get install -qq -y xfsprogs >/dev/null 2>&1; then
			kinds=ext4,xfs
		else
			echo "-- power on xfs is left out: there is no mkfs.xfs, and apt-get install xfsprogs does not bring it"
		fi
		if fuse power; then kinds=$kinds,volatile; fi
		fault power -fs $kinds -fusedisk "$work/fusedisk" -duration "${POWER:-4m}"
		;;
	flush) may flush && fuse flush && fault flush -fusedisk "$work/fusedisk" ;;
	full) may full && fault full ;;
	eio | short | write) traced "$name" && fault "$name" ;;
	*) fault "$name" ;;
	esac
done
exit $failed
