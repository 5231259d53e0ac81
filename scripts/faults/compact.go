package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	compactTopic = "compacted"
	compactKeys  = 1_000_000
	// compactWrites bounds what is written after every key was, once.
	compactWrites = 4 * compactKeys
)

// compactRun updates and deletes a million keys at random while the broker compacts and is killed, and looks for
// exactly their last values at the end. The producer is idempotent: what is sent has one outcome, also across kills.
func compactRun(ctx context.Context, r *rig) error {
	b, err := newBroker(r, r.path("data"), "--override", "log.cleaner.backoff.ms=100", "--override", "log.cleaner.dedupe.buffer.size=4194304",
		"--override", "log.retention.check.interval.ms=700")
	if err != nil {
		return err
	}
	if err := b.start(); err != nil {
		return err
	}
	if err := createTopic(ctx, b.address, compactTopic, loadPartitions, map[string]*string{
		"cleanup.policy": text("compact"), "segment.bytes": text("1048576"), "min.cleanable.dirty.ratio": text("0.2"), "delete.retention.ms": text("2000"),
	}); err != nil {
		return err
	}
	w, err := newKeyWriter(b.address, r.seed)
	if err != nil {
		return err
	}
	defer w.client.Close()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		w.run(ctx, stop)
	}()
	random := rand.New(rand.NewPCG(r.seed, 2))
	kills := 0
	for end := time.Now().Add(r.duration); time.Now().Before(end) && ctx.Err() == nil; {
		time.Sleep(time.Duration(random.Int64N(int64(2 * time.Second))))
		if kills == r.rounds || w.written.Load() == compactWrites {
			continue
		}
		b.kill()
		kills++
		if err := b.start(); err != nil {
			return err
		}
	}
	close(stop)
	<-done
	if err := w.client.Flush(ctx); err != nil {
		return err
	}
	r.check(w.failed.Load() == 0, "%d records were refused for good", w.failed.Load())
	if err := w.judge(ctx, r, b, kills); err != nil {
		return err
	}
	r.check(b.terminate(20*time.Second) && b.exitCode() == 0, "clean stop")
	out, err := exec.Command(b.rig.binary, "log", "verify", b.dir, "--allow-gaps").CombinedOutput()
	r.check(err == nil, "log verify: %s", out)
	left, _ := filepath.Glob(filepath.Join(b.dir, "*", "*.cleaned"))
	swaps, _ := filepath.Glob(filepath.Join(b.dir, "*", "*.swap"))
	r.check(len(left)+len(swaps) == 0, "no file of a compaction is left")
	r.check(b.sane(), "no panic in the broker's log")
	return nil
}

func text(s string) *string { return &s }

// keyWriter sends the writes, and remembers the last one of each key.
type keyWriter struct {
	client  *kgo.Client
	random  *rand.Rand
	last    []int64 // by key: the number of the write, negative for a delete, 0: none
	written atomic.Int64
	failed  atomic.Int64
}

func newKeyWriter(address string, seed uint64) (*keyWriter, error) {
	c, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.DefaultProduceTopic(compactTopic), kgo.ProducerLinger(5*time.Millisecond),
		kgo.MaxBufferedRecords(50_000), kgo.MetadataMinAge(50*time.Millisecond), kgo.RetryBackoffFn(quickly), kgo.DialTimeout(2*time.Second),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	if err != nil {
		return nil, err
	}
	return &keyWriter{client: c, random: rand.New(rand.NewPCG(seed, 3)), last: make([]int64, compactKeys)}, nil
}

// run writes every key once, and then goes on at random until it is stopped: one write in six is a delete.
func (w *keyWriter) run(ctx context.Context, stop chan struct{}) {
	for n := int64(1); n <= compactWrites; n++ {
		select {
		case <-stop:
			if n > compactKeys {
				return
			}
		default:
		}
		key := int(n - 1)
		if n > compactKeys {
			key = w.random.IntN(compactKeys)
		}
		w.last[key] = n
		var value []byte
		if n > compactKeys && w.random.IntN(6) == 0 {
			w.last[key] = -n
		} else {
			value = strconv.AppendInt(nil, n, 10)
		}
		w.client.Produce(ctx, &kgo.Record{Key: strconv.AppendInt(nil, int64(key), 10), Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				w.failed.Add(1)
			}
		})
		w.written.Store(n)
	}
}

// judge reads the topic from its start and compares what it has of each key at the end.
func (w *keyWriter) judge(ctx context.Context, r *rig, b *broker, kills int) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(b.address), kgo.ConsumeTopics(compactTopic), kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		return err
	}
	defer c.Close()
	listed, err := kadm.NewClient(c).ListEndOffsets(ctx, compactTopic)
	if err != nil {
		return err
	}
	ends := map[int32]int64{}
	listed.Each(func(o kadm.ListedOffset) { ends[o.Partition] = o.Offset })
	found, read := make([]int64, compactKeys), 0
	for next := map[int32]int64{}; !reached(next, ends); {
		limit, cancel := context.WithTimeout(ctx, 30*time.Second)
		fetches := c.PollFetches(limit)
		cancel()
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("read %d records up to %v of %v: %w", read, next, ends, err)
		}
		for rec := range fetches.RecordsAll() {
			read++
			if rec.Offset < next[rec.Partition] {
				r.check(false, "partition %d goes back from offset %d to %d", rec.Partition, next[rec.Partition], rec.Offset)
			}
			next[rec.Partition] = rec.Offset + 1
			key, err := strconv.Atoi(string(rec.Key))
			if err != nil || key < 0 || key >= compactKeys {
				return fmt.Errorf("a key that was never written: %q", rec.Key)
			}
			n, _ := strconv.ParseInt(string(rec.Value), 10, 64) // 0 for a delete
			found[key] = n
		}
	}
	wrong := 0
	for key, want := range w.last {
		if found[key] != max(want, 0) {
			wrong++
		}
	}
	r.check(wrong == 0, "%d writes of %d keys, %d kills: %d keys have another value than their last", w.written.Load(), compactKeys, kills, wrong)
	r.check(int64(read) < w.written.Load(), "%d of them are still there", read)
	return nil
}

// reached reports whether all partitions were read to their end.
func reached(next, ends map[int32]int64) bool {
	for p, end := range ends {
		if next[p] < end {
			return false
		}
	}
	return true
}
