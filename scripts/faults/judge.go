package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// verdict is what a comparison of the manifest with the topic found.
type verdict struct {
	acked, read   int
	lost          int           // acknowledged with an offset that another record has, or none
	oldest        time.Duration // of those that are lost: how long before the cut it was acknowledged
	unseen        int           // of those that are lost: nowhere else either
	duplicated    int
	disordered    int
	foreign, gaps int // what nobody wrote, and offsets without a record
	shown         int // to a consumer, while all that happened
	retracted     int // of these: not there any more
	skipped       int // jumps of that consumer, in either direction
}

// kept: nothing that anybody was told has become untrue.
func (v verdict) kept() bool {
	return v.whole() && v.lost+v.retracted+v.skipped == 0 && v.shown > 0
}

// whole is what no policy may break: everything that is there was written, once, in its order.
func (v verdict) whole() bool {
	return v.duplicated+v.disordered+v.foreign+v.gaps == 0 && v.read > 0
}

func (v verdict) String() string {
	return fmt.Sprintf("acked %d, read %d, lost %d (unseen %d), duplicated %d, out of order %d, not ours %d, gaps %d, shown %d, retracted %d, skips %d",
		v.acked, v.read, v.lost, v.unseen, v.duplicated, v.disordered, v.foreign, v.gaps, v.shown, v.retracted, v.skipped)
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
	l.mu.Lock()
	defer l.mu.Unlock()
	v.skipped = l.mu.skipped
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
			v.foreign++ // gaps among them
			continue
		case seen[m]:
			v.duplicated++
		case int64(m.sequence) < last[m.producer]:
			v.disordered++
		}
		seen[m] = true
		last[m.producer] = max(last[m.producer], int64(m.sequence))
	}
	there := func(t told) bool { return t.offset < int64(len(found)) && good[t.offset] && found[t.offset] == t.mark }
	v.acked += len(l.mu.acked[partition])
	for _, t := range l.mu.acked[partition] {
		if there(t) {
			continue
		}
		v.lost++
		if !seen[t.mark] {
			v.unseen++
		}
		if next := slices.IndexFunc(l.cuts, func(c cut) bool { return t.at.Before(c.over) }); next >= 0 {
			v.oldest = max(v.oldest, l.cuts[next].at.Sub(t.at))
		}
	}
	v.shown += len(l.mu.shown[partition])
	for _, t := range l.mu.shown[partition] {
		if !there(t) {
			v.retracted++
		}
	}
}
