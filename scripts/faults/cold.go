package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/bobbin-log/bobbin/segment/batch"
)

// coldRecords is how many records, each a batch of its own, the damaged partition has.
const coldRecords = 60

// coldRun flips a bit of a batch in a sealed segment, in each of its fields, at each end of a segment and in its middle, of
// a broker that was stopped or killed, and with its recovery points lost. The broker must start, and serve every record
// but the damaged one: nothing may be cut.
func coldRun(ctx context.Context, r *rig) error {
	for _, clean := range []bool{true, false} {
		b, err := newBroker(r, r.path(fmt.Sprintf("cold-%v", clean)))
		if err != nil {
			return err
		}
		if err := fillCold(ctx, b); err != nil {
			return err
		}
		if clean {
			b.terminate(10 * time.Second)
		} else {
			b.kill()
		}
		segments, err := filepath.Glob(filepath.Join(b.dir, "cold-0", "*.log"))
		if err != nil || len(segments) < 4 {
			return errors.Join(err, fmt.Errorf("the partition has %d segments, want some", len(segments)))
		}
		slices.Sort(segments)
		for _, lost := range []bool{false, true} {
			for _, segment := range []string{segments[0], segments[1], segments[len(segments)-2]} {
				if err := r.flipFields(ctx, b, clean, lost, filepath.Base(segment)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// fillCold starts the broker and makes a partition of several segments.
func fillCold(ctx context.Context, b *broker) error {
	if err := b.start(); err != nil {
		return err
	}
	small := "3000"
	if err := createTopic(ctx, b.address, "cold", 1, map[string]*string{"internal.segment.bytes": &small}); err != nil {
		return err
	}
	t, err := newTeller(b.address)
	if err != nil {
		return err
	}
	defer t.close()
	for i := range coldRecords {
		if _, err := t.produce(ctx, "cold", 0, mark{0, uint64(i)}.value()); err != nil {
			return err
		}
	}
	return nil
}

// flipFields damages one field after the other, each on a copy of its own.
func (r *rig) flipFields(ctx context.Context, from *broker, clean, lost bool, segment string) error {
	name := filepath.Join("cold-0", segment)
	raw, err := os.ReadFile(filepath.Join(from.dir, name))
	if err != nil {
		return err
	}
	var at []int // where batches begin
	for rest := raw; len(rest) > 0; {
		at = append(at, len(raw)-len(rest))
		if _, rest, err = batch.Next(rest); err != nil {
			return err
		}
	}
	fields := []struct {
		name string
		at   int
	}{{"length", 10}, {"magic", 16}, {"CRC", 18}, {"attributes", 22}, {"last offset delta", 24}, {"body", batch.HeaderSize + 10}}
	for i, f := range fields {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := []int{0, len(at) / 2, len(at) - 1}[i%3]
		bad := slices.Clone(raw)
		bad[at[n]+f.at] ^= 8
		b, err := r.copyOf(from)
		if err != nil {
			return err
		}
		if lost {
			_ = os.Remove(filepath.Join(b.dir, "recovery-point-offset-checkpoint")) // which a killed broker may not have
		}
		if err := os.WriteFile(filepath.Join(b.dir, name), bad, 0o666); err != nil {
			return err
		}
		what := fmt.Sprintf("%s, batch %d of %d, %s (clean stop: %v, recovery points lost: %v)", name, n, len(at), f.name, clean, lost)
		if err := r.servesAround(ctx, b, int64(binary.BigEndian.Uint64(raw[at[n]:])), what); err != nil {
			return err
		}
		if info, err := os.Stat(filepath.Join(b.dir, name)); err != nil || info.Size() != int64(len(raw)) {
			r.check(false, "%s: the segment had %d bytes: %v", what, len(raw), err)
		}
	}
	return nil
}

// copyOf is a broker that does not run yet, on a copy of a directory.
func (r *rig) copyOf(from *broker) (*broker, error) {
	dir := r.path("copy")
	if err := errors.Join(os.RemoveAll(dir), os.CopyFS(dir, os.DirFS(from.dir))); err != nil {
		return nil, err
	}
	b, err := newBroker(r, dir, from.args...)
	if err == nil {
		b.logName = r.path("copy.log")
	}
	return b, err
}

// servesAround checks that a broker starts, serves all records but the damaged one, and takes new ones.
func (r *rig) servesAround(ctx context.Context, b *broker, damaged int64, what string) error {
	if err := b.start(); err != nil {
		r.check(false, "%s: %v", what, err)
		return nil
	}
	c, err := kgo.NewClient(kgo.SeedBrokers(b.address), kgo.DialTimeout(2*time.Second))
	if err != nil {
		return err
	}
	defer c.Close()
	topics, err := kadm.NewClient(c).ListTopics(ctx, "cold")
	if err != nil {
		return err
	}
	wrong := ""
	for o := range int64(coldRecords) {
		value, err := fetchOne(ctx, c, "cold", topics["cold"].ID, o)
		m, ok := markOf(value)
		switch {
		case o == damaged && err == nil:
			wrong = fmt.Sprintf("the damaged record is served as %q", value)
		case o != damaged && err != nil:
			wrong = fmt.Sprintf("record %d of %d is not served: %v", o, coldRecords, err)
		case o != damaged && (!ok || m.sequence != uint64(o)):
			wrong = fmt.Sprintf("WRONG value of record %d", o)
		}
	}
	t, err := newTeller(b.address)
	if err != nil {
		return err
	}
	defer t.close()
	if o, err := t.produce(ctx, "cold", 0, mark{0, coldRecords}.value()); err != nil || o != coldRecords {
		wrong = fmt.Sprintf("a new record got offset %d, %v", o, err)
	}
	stopped := b.terminate(10 * time.Second)
	r.check(wrong == "" && stopped && b.sane(), "%s: all but record %d are served %s", what, damaged, wrong)
	return nil
}

// fetchOne asks for the batch of one offset, and checks it as clients do.
func fetchOne(ctx context.Context, c *kgo.Client, topic string, id [16]byte, offset int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	q := kmsg.NewPtrFetchRequest()
	q.MaxBytes = 1 << 20
	qt := kmsg.NewFetchRequestTopic()
	qt.Topic, qt.TopicID = topic, id
	qp := kmsg.NewFetchRequestTopicPartition()
	qp.FetchOffset, qp.PartitionMaxBytes = offset, 1
	qt.Partitions = append(qt.Partitions, qp)
	q.Topics = append(q.Topics, qt)
	a, err := q.RequestWith(ctx, c.Broker(1))
	if err != nil {
		return nil, err
	}
	if len(a.Topics) != 1 || len(a.Topics[0].Partitions) != 1 {
		return nil, fmt.Errorf("the answer has %d topics", len(a.Topics))
	}
	p := a.Topics[0].Partitions[0]
	if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
		return nil, err
	}
	b, _, err := batch.Next(p.RecordBatches)
	if err == nil {
		err = b.Check()
	}
	if err != nil {
		return nil, err
	}
	for r, err := range b.Records(1 << 20) {
		if err != nil || r.Offset == offset {
			return r.Value, err
		}
	}
	return nil, fmt.Errorf("the batch of offsets %d to %d does not have it", b.BaseOffset(), b.LastOffset())
}
