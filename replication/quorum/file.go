package quorum

import (
	"errors"
	"hash/crc32"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// castagnoli is CRC-32C's polynomial; it is never written to.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// readFile reads a whole file of at most maxBytes.
func readFile(fsys vfs.FS, name string, maxBytes int64) ([]byte, error) {
	b, err := vfs.ReadFile(fsys, name, maxBytes)
	if errors.Is(err, vfs.ErrTooLarge) {
		return nil, &engine.CorruptError{Path: name, Why: err.Error()}
	}
	return b, err
}
