package main

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// verdict is what a comparison of the manifest with the topic found.
type verdict struct {
	acked, read, lost, duplicated, unseen, disordered, foreign, gaps int
}

func (v verdict) good() bool {
	return v.lost+v.duplicated+v.unseen+v.disordered+v.foreign+v.gaps == 0
}

func (v verdict) String() string {
	return fmt.Sprintf("acked %d, read %d, lost %d, duplicated %d, unseen %d, out of order %d, not ours %d, gaps %d",
		v.acked, v.read, v.lost, v.duplicated, v.unseen, v.disordered, v.foreign, v.gaps)
}

// judge reads the topic from its beginning to its end and compares.
func (l *load) judge(ctx context.Context) (verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var v verdict
	c, err := kgo.NewClient(kgo.SeedBrokers(l.address), kgo.ConsumeTopics(loadTopic), kgo.MetadataMinAge(50*time.Millisecond),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		return v, err
	}
	defer c.Close()
	ends, err := kadm.NewClient(c).ListEndOffsets(ctx, loadTopic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return v, err
	}
	var next [loadPartitions]int64
	var found [loadPartitions][]mark // by offset; the zero mark's place is known by good
	var good [loadPartitions][]bool
	open := func() bool {
		for p, n := range next {
			if end, _ := ends.Lookup(loadTopic, int32(p)); n < end.Offset {
				return true
			}
		}
		return false
	}
	for open() {
		fetches := c.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			return v, fmt.Errorf("reading stopped at %v of %v: %w", next, ends.Offsets(), err)
		}
		fetches.EachError(func(_ string, p int32, e error) { err = fmt.Errorf("fetch of partition %d: %w", p, e) })
		if err != nil {
			return v, err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			for ; next[r.Partition] < r.Offset; next[r.Partition]++ {
				v.gaps++
				found[r.Partition], good[r.Partition] = append(found[r.Partition], mark{}), append(good[r.Partition], false)
			}
			m, ok := markOf(r.Value)
			found[r.Partition], good[r.Partition] = append(found[r.Partition], m), append(good[r.Partition], ok)
			next[r.Partition]++
			v.read++
		})
	}
	for p := range found {
		l.compare(&v, p, found[p], good[p])
	}
	return v, nil
}

// compare is the judgement on one partition: found are its records by offset.
func (l *load) compare(v *verdict, partition int, found []mark, good []bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := map[mark]bool{}
	var last [loadProducers]int64
	for i := range last {
		last[i] = -1
	}
	for i, m := range found {
		switch {
		case !good[i]:
			v.foreign++
			continue
		case seen[m]:
			v.duplicated++
		case int64(m.sequence) < last[m.producer]:
			v.disordered++
		}
		seen[m] = true
		last[m.producer] = max(last[m.producer], int64(m.sequence))
	}
	v.acked += len(l.mu.acked[partition])
	for offset, m := range l.mu.acked[partition] {
		if offset < int64(len(found)) && good[offset] && found[offset] == m {
			continue
		}
		v.lost++
		if !seen[m] {
			v.unseen++
		}
	}
}
