package bench

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// bareEngine is the floor: one file a partition and the system calls alone, each
// writer syncing for itself.
type bareEngine struct {
	sync      bool
	parts     []barePart
	batchSize int64
}

type barePart struct {
	mu struct {
		sync.Mutex
		end int64 // where the next append goes
	}
	file vfs.File
}

// openBare returns the Subject.Open of the bare system calls.
func openBare(synced bool) func(string, Work) (Engine, error) {
	return func(dir string, w Work) (Engine, error) {
		e := &bareEngine{sync: synced, parts: make([]barePart, w.Partitions), batchSize: int64(len(makeBatch(w)))}
		for i := range e.parts {
			f, err := vfs.OS{}.Create(filepath.Join(dir, fmt.Sprintf("%d.log", i)))
			if err != nil {
				return nil, errors.Join(err, e.Close())
			}
			e.parts[i].file = f
		}
		return e, vfs.OS{}.SyncDir(dir)
	}
}

func (e *bareEngine) Append(partition int, b []byte) error {
	p := &e.parts[partition]
	p.mu.Lock()
	n, err := p.file.WriteAt([][]byte{b}, p.mu.end)
	p.mu.end += n
	p.mu.Unlock()
	if err != nil || !e.sync {
		return err
	}
	return p.file.Sync()
}

func (e *bareEngine) Held() (int64, error) {
	bytes := int64(0)
	for i := range e.parts {
		n, err := e.parts[i].file.Size()
		if err != nil {
			return 0, err
		}
		bytes += n
	}
	return bytes / e.batchSize, nil
}

func (e *bareEngine) Close() error {
	var err error
	for i := range e.parts {
		if f := e.parts[i].file; f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}
