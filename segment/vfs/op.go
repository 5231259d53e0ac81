package vfs

import "fmt"

// Kind is a kind of operation. Every method of [FS], [File] and [Mapping] that
// can fail has one; a test keeps it so.
type Kind uint8

// The kinds of operations, in the order of the interfaces. Each is named by its
// method, with Lock's closer as OpUnlock and DirectFile.WriteSync as an OpWrite
// followed by an OpSync.
const (
	OpCreate Kind = iota
	OpOpen
	OpOpenRead
	OpRemove
	OpRemoveAll
	OpRename
	OpMkdirAll
	OpReadDir
	OpStat
	OpSyncDir
	OpLock
	OpUnlock
	OpUsage

	OpRead
	OpWrite
	OpWriteDurable
	OpSync
	OpTruncate
	OpPreallocate
	OpSize
	OpMap
	OpDirect
	OpClose

	OpFlush
	OpUnmap

	kinds // the number of kinds
)

// Kinds lists all kinds.
func Kinds() []Kind {
	all := make([]Kind, kinds)
	for i := range all {
		all[i] = Kind(i)
	}
	return all
}

// Changes lists the kinds that can alter what a crash leaves.
func Changes() []Kind {
	var some []Kind
	for _, k := range Kinds() {
		if k.Changes() {
			some = append(some, k)
		}
	}
	return some
}

// String returns the name that errors and traces use.
func (k Kind) String() string {
	names := [kinds]string{
		OpCreate: "create", OpOpen: "open", OpOpenRead: "openread", OpRemove: "remove",
		OpRemoveAll: "removeall", OpRename: "rename", OpMkdirAll: "mkdirall", OpReadDir: "readdir",
		OpStat: "stat", OpSyncDir: "syncdir", OpLock: "lock", OpUnlock: "unlock", OpUsage: "usage",
		OpRead: "read", OpWrite: "write", OpWriteDurable: "writedurable", OpSync: "sync", OpTruncate: "truncate",
		OpPreallocate: "preallocate", OpSize: "size", OpMap: "map", OpDirect: "direct", OpClose: "close",
		OpFlush: "flush", OpUnmap: "unmap",
	}
	if k >= kinds {
		return fmt.Sprintf("kind(%d)", uint8(k))
	}
	return names[k]
}

// Changes reports whether operations of this kind can alter what a crash
// leaves, durable or not.
func (k Kind) Changes() bool {
	switch k {
	case OpCreate, OpRemove, OpRemoveAll, OpRename, OpMkdirAll, OpSyncDir, OpLock,
		OpWrite, OpWriteDurable, OpSync, OpTruncate, OpPreallocate, OpFlush:
		return true
	}
	return false
}

// Op is one operation.
type Op struct {
	Kind Kind
	// Path is what the operation is about: as it was given, or as the file was
	// opened.
	Path string
	// To is the new name of an OpRename.
	To string
	// Off and Len are the bytes of an OpRead or OpWrite. Len is the size of an
	// OpTruncate, OpPreallocate, OpMap or OpFlush.
	Off, Len int64
	// Done is the number of bytes read or written. Known only afterwards.
	Done int64
}

// String returns the operation as one line of a [Trace], without its outcome.
func (o Op) String() string {
	switch o.Kind {
	case OpRename:
		return fmt.Sprintf("%v: %s -> %s", o.Kind, o.Path, o.To)
	case OpRead, OpWrite, OpWriteDurable:
		return fmt.Sprintf("%v: %s %d+%d", o.Kind, o.Path, o.Off, o.Len)
	case OpTruncate, OpPreallocate, OpMap, OpFlush:
		return fmt.Sprintf("%v: %s %d", o.Kind, o.Path, o.Len)
	}
	return fmt.Sprintf("%v: %s", o.Kind, o.Path)
}
