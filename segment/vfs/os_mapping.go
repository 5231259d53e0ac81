package vfs

import (
	"fmt"

	"github.com/edsrzf/mmap-go"
)

// Map implements [File]. A mapping outlives Close of the file.
func (f *osFile) Map(size int64) (Mapping, error) {
	length, err := f.Size()
	if err != nil {
		return nil, err
	}
	if err := checkMap(size, length); err != nil {
		return nil, opError(OpMap, f.name, err)
	}
	if size == 0 { // mmap refuses it, yet an empty file is an ordinary one
		return &osMapping{name: f.name}, nil
	}
	prot := mmap.RDONLY
	if f.writable {
		prot = mmap.RDWR
	}
	m, err := mmap.MapRegion(f.file, int(size), prot, 0, 0)
	if err != nil {
		return nil, opError(OpMap, f.name, err)
	}
	return &osMapping{memory: m, name: f.name}, nil
}

// checkMap refuses a mapping that reaches past the end of the file, where a
// touch would kill the process with SIGBUS.
func checkMap(size, length int64) error {
	if size < 0 || size > length || size != int64(int(size)) {
		return fmt.Errorf("cannot map %d bytes of a file of %d", size, length)
	}
	return nil
}

// osMapping is a [Mapping] by mmap(2); memory is nil when empty or unmapped.
type osMapping struct {
	memory mmap.MMap
	name   string
}

func (m *osMapping) Bytes() []byte { return m.memory }

// Flush implements [Mapping]. On Linux msync(MS_SYNC) is an fdatasync of the
// mapped range, length included.
func (m *osMapping) Flush() error {
	if len(m.memory) == 0 {
		return nil
	}
	return opError(OpFlush, m.name, m.memory.Flush())
}

func (m *osMapping) Unmap() error {
	if m.memory == nil {
		return nil
	}
	return opError(OpUnmap, m.name, m.memory.Unmap())
}
