package quorum

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A command is the data of a raft entry: the records that it was decided into.
//
//	0 version u8    1
//	1 term    u64   of the leader that decided, big-endian
//	9 count   uvarint, then for each record: length uvarint, bytes
//
// An entry of another term than its command's was decided by a leader that lost
// and regained its office in between, against state that had gone on. Every node
// sees that, and skips it.
const (
	commandVersion  = 1
	posCommandTerm  = 1
	commandHeadSize = posCommandTerm + 8

	// commandBytesMax bounds one entry, so that no request can make one that the
	// log has no segment for.
	commandBytesMax = 8 << 20
)

func encodeCommand(term uint64, records [][]byte) []byte {
	size := commandHeadSize + binary.MaxVarintLen64
	for _, r := range records {
		size += len(r) + binary.MaxVarintLen32
	}
	b := make([]byte, 1, size)
	b[0] = commandVersion
	b = binary.BigEndian.AppendUint64(b, term)
	b = binary.AppendUvarint(b, uint64(len(records)))
	for _, r := range records {
		b = binary.AppendUvarint(b, uint64(len(r)))
		b = append(b, r...)
	}
	return b
}

var errShortCommand = errors.New("a command ends too early")

// decodeCommand reads what encodeCommand wrote. The records alias b.
func decodeCommand(b []byte) (term uint64, records [][]byte, err error) {
	if len(b) < commandHeadSize {
		return 0, nil, errShortCommand
	}
	if b[0] != commandVersion {
		return 0, nil, fmt.Errorf("command of version %d, this release reads %d", b[0], commandVersion)
	}
	term = binary.BigEndian.Uint64(b[posCommandTerm:])
	rest := b[commandHeadSize:]
	count, n := binary.Uvarint(rest)
	// Each record takes a byte at least: this bounds what is allocated.
	if n <= 0 || count > uint64(len(rest)-n) {
		return 0, nil, errShortCommand
	}
	rest = rest[n:]
	records = make([][]byte, count)
	for i := range records {
		size, n := binary.Uvarint(rest)
		if n <= 0 || size > uint64(len(rest)-n) {
			return 0, nil, errShortCommand
		}
		records[i] = rest[n : n+int(size) : n+int(size)]
		rest = rest[n+int(size):]
	}
	if len(rest) > 0 {
		return 0, nil, fmt.Errorf("%d bytes behind the last record of a command", len(rest))
	}
	return term, records, nil
}
