package main

import (
	"encoding/binary"
	"errors"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"

	"github.com/bobbin-log/bobbin/bench"
)

// boltEngine is one B+ tree for all partitions: a bucket each, keyed by sequence.
type boltEngine struct {
	db      *bbolt.DB
	buckets [][]byte
}

const (
	// boltBatchDelay is how long DB.Batch waits for company. Its default of 10 ms
	// is made for disks that take as long for a sync as this one for sixty.
	boltBatchDelay = 100 * time.Microsecond
	// boltFill leaves no room in pages, for keys that only ever ascend.
	boltFill = 1.0
)

func openBolt(dir string, w bench.Work) (bench.Engine, error) {
	db, err := bbolt.Open(filepath.Join(dir, "bolt.db"), 0o644, &bbolt.Options{FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return nil, err
	}
	db.MaxBatchDelay = boltBatchDelay
	e := &boltEngine{db: db}
	for i := range w.Partitions {
		e.buckets = append(e.buckets, binary.BigEndian.AppendUint32(nil, uint32(i)))
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range e.buckets {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return e, nil
}

func (e *boltEngine) Append(partition int, b []byte) error {
	return e.db.Batch(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(e.buckets[partition])
		bucket.FillPercent = boltFill
		n, err := bucket.NextSequence()
		if err != nil {
			return err
		}
		return bucket.Put(binary.BigEndian.AppendUint64(nil, n), b)
	})
}

func (e *boltEngine) Held() (n int64, err error) {
	err = e.db.View(func(tx *bbolt.Tx) error {
		for _, name := range e.buckets {
			if key, _ := tx.Bucket(name).Cursor().Last(); key != nil {
				n += int64(binary.BigEndian.Uint64(key))
			}
		}
		return nil
	})
	return n, err
}

func (e *boltEngine) Close() error { return e.db.Close() }
