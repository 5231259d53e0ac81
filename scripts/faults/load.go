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

// told is what the broker told a client once: that a record has this offset.
type told struct {
	offset int64
	mark   mark
	at     time.Time
}

// cut is a fault: what was acknowledged before over was acknowledged before at, or was on its way by then.
type cut struct{ at, over time.Time }

// load is a set of idempotent producers and a consumer, and the manifest of what was acknowledged and shown to them.
// Nothing is ever taken out of it: of two records that were acknowledged with one offset, one is lost.
type load struct {
	address string
	clients []*kgo.Client
	cancel  context.CancelFunc
	running sync.WaitGroup
	pause   sync.RWMutex // held while nobody may send
	cuts    []cut

	mu struct {
		sync.Mutex
		acked   [loadPartitions][]told
		shown   [loadPartitions][]told
		skipped int // places where the consumer was not shown the offset after the last
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
	c, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ConsumeTopics(loadTopic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.RetryBackoffFn(quickly), kgo.MetadataMinAge(50*time.Millisecond), kgo.DialTimeout(time.Second), kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		return nil, err
	}
	l.clients = append(l.clients, c)
	l.running.Go(func() { l.watch(ctx, c) })
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
	l.mu.acked[r.Partition] = append(l.mu.acked[r.Partition], told{r.Offset, m, now})
}

// watch reads what is written, as it is written. It goes on across faults: its client retries.
func (l *load) watch(ctx context.Context, c *kgo.Client) {
	for ctx.Err() == nil {
		fetches := c.PollFetches(ctx)
		now := time.Now()
		l.mu.Lock()
		for r := range fetches.RecordsAll() {
			shown := &l.mu.shown[r.Partition]
			if n := len(*shown); n > 0 && (*shown)[n-1].offset+1 != r.Offset {
				l.mu.skipped++
			}
			m, _ := markOf(r.Value) // one that is not ours is in the manifest as nobody's, and cannot be found
			*shown = append(*shown, told{r.Offset, m, now})
		}
		l.mu.Unlock()
	}
}

// cut notes a fault. The broker is down, and answers nobody before this returns.
func (l *load) cut(at time.Time) { l.cuts = append(l.cuts, cut{at, time.Now()}) }

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
