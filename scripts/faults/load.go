package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	loadTopic      = "load"
	loadPartitions = 4
	loadProducers  = 3
)

// mark is what names a record: who sent it, and as the how-manieth to this partition.
type mark struct {
	producer uint32
	sequence uint64
}

// load is a set of idempotent producers, and the manifest of what was acknowledged to them.
type load struct {
	address string
	clients []*kgo.Client
	cancel  context.CancelFunc
	running sync.WaitGroup
	pause   sync.RWMutex // held while nobody may send

	mu struct {
		sync.Mutex
		acked   [loadPartitions]map[int64]mark
		failed  map[string]int
		last    time.Time
		longest time.Duration // between two acknowledgements
	}
}

// size is that of the record's value: it depends on the mark alone, so that a reader can tell what it should be.
func (m mark) value() []byte {
	h := fnv.New64a()
	b := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, m.producer), m.sequence)
	_, _ = h.Write(b) // never fails
	sum := h.Sum64()
	for range 2 + sum%64 {
		b = binary.BigEndian.AppendUint64(b, sum)
	}
	return b
}

// markOf reads a value back; it is false for one that nobody wrote.
func markOf(value []byte) (mark, bool) {
	if len(value) < 12 {
		return mark{}, false
	}
	m := mark{binary.BigEndian.Uint32(value), binary.BigEndian.Uint64(value[4:])}
	return m, string(m.value()) == string(value)
}

// createTopic makes the topic of the load.
func createTopic(ctx context.Context, address, topic string, partitions int32, configs map[string]*string) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		return err
	}
	defer c.Close()
	response, err := kadm.NewClient(c).CreateTopic(ctx, partitions, 1, configs, topic)
	if err == nil {
		err = response.Err
	}
	return err
}

// startLoad begins to send as fast as acknowledgements come back.
func startLoad(ctx context.Context, address string) (*load, error) {
	l := &load{address: address}
	for i := range l.mu.acked {
		l.mu.acked[i] = map[int64]mark{}
	}
	l.mu.failed = map[string]int{}
	l.mu.last = time.Now()
	ctx, l.cancel = context.WithCancel(ctx)
	for p := range loadProducers {
		codecs := [][]kgo.CompressionCodec{{kgo.NoCompression()}, {kgo.Lz4Compression()}, {kgo.ZstdCompression()}}
		c, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.DefaultProduceTopic(loadTopic),
			kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(codecs[p]...),
			kgo.MaxBufferedRecords(400), kgo.ProducerLinger(0), kgo.RetryTimeout(time.Minute), kgo.RetryBackoffFn(quickly),
			kgo.MetadataMinAge(50*time.Millisecond), kgo.RequestTimeoutOverhead(5*time.Second), kgo.DialTimeout(time.Second))
		if err != nil {
			return nil, err
		}
		l.clients = append(l.clients, c)
		l.running.Go(func() { l.send(ctx, c, uint32(p)) })
	}
	return l, nil
}

func quickly(int) time.Duration { return 20 * time.Millisecond }

func (l *load) send(ctx context.Context, c *kgo.Client, producer uint32) {
	var sequences [loadPartitions]uint64
	for i := 0; ctx.Err() == nil; i++ {
		partition := int32(i / 7 % loadPartitions)
		m := mark{producer, sequences[partition]}
		sequences[partition]++
		l.pause.RLock()
		c.Produce(ctx, &kgo.Record{Partition: partition, Value: m.value()}, func(r *kgo.Record, err error) {
			l.answered(ctx, r, m, err)
		})
		l.pause.RUnlock()
	}
}

func (l *load) answered(ctx context.Context, r *kgo.Record, m mark, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		if ctx.Err() == nil {
			l.mu.failed[err.Error()]++
		}
		return
	}
	now := time.Now()
	l.mu.longest = max(l.mu.longest, now.Sub(l.mu.last))
	l.mu.last = now
	l.mu.acked[r.Partition][r.Offset] = m
}

// quiet stops new records and waits until all that were sent have their answer. The returned function goes on.
func (l *load) quiet(ctx context.Context) (func(), error) {
	l.pause.Lock()
	for _, c := range l.clients {
		if err := c.Flush(ctx); err != nil {
			l.pause.Unlock()
			return nil, fmt.Errorf("records that were sent got no answer: %w", err)
		}
	}
	return func() {
		l.mu.Lock()
		l.mu.last = time.Now()
		l.mu.Unlock()
		l.pause.Unlock()
	}, nil
}

// stop ends the load. Records that have no answer by then never will.
func (l *load) stop() {
	l.cancel()
	for _, c := range l.clients {
		c.Close()
	}
	l.running.Wait()
}
