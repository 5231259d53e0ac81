package controller

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestDeterminism lets seeded commands, good and bad, run against a leader.
// Followers that apply its records, one from the beginning and one that is
// restored from a snapshot now and then, must come to the same state, and old
// images must not change.
func TestDeterminism(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 0))
		leader, follower, restored := newController(), newController(), newController()
		first := leader.Image()
		for step := range int64(200) {
			before, text := leader.Image(), fmt.Sprintf("%+v", leader.Image())
			rs := randomCommand(rng, leader)
			if fmt.Sprintf("%+v", leader.Image()) != text {
				t.Fatalf("seed %d: deciding changed the state", seed)
			}
			for _, c := range []*Controller{leader, follower, restored} {
				if err := c.Apply(step, rs); err != nil {
					t.Fatalf("seed %d step %d: %v", seed, step, err)
				}
			}
			if fmt.Sprintf("%+v", before) != text {
				t.Fatalf("seed %d step %d: an image changed after it was handed out", seed, step)
			}
			if rng.IntN(20) == 0 {
				restored = restoredFrom(t, leader)
			}
			if err := consistent(leader.Image()); err != nil {
				t.Fatalf("seed %d step %d: %v", seed, step, err)
			}
		}
		if !same(leader.Image(), follower.Image()) || !same(leader.Image(), restored.Image()) {
			t.Errorf("seed %d: the machines differ", seed)
		}
		if first.Len() != 0 {
			t.Errorf("seed %d: the first image has topics", seed)
		}
	}
}

func restoredFrom(t *testing.T, c *Controller) *Controller {
	t.Helper()
	var b bytes.Buffer
	if err := c.Snapshot(&b); err != nil {
		t.Fatal(err)
	}
	restored := newController()
	if err := restored.Restore(&b); err != nil {
		t.Fatal(err)
	}
	return restored
}

func randomCommand(rng *rand.Rand, c *Controller) (rs [][]byte) {
	name := func() string { return []string{"a", "b", "c.d", "c_d", "e-f", "", "x y"}[rng.IntN(7)] }
	id := func() (id [16]byte) {
		id[0], id[15] = 1, byte(rng.IntN(250))
		return id
	}
	switch rng.IntN(9) {
	case 0:
		rs, _ = c.RegisterBroker("c", Broker{ID: rng.Int32N(4), Endpoints: []Endpoint{}})
	case 1, 2, 3:
		rs, _ = c.CreateTopics([]TopicSpec{
			{Name: name(), ID: id(), Partitions: rng.Int32N(5) - 1, Replication: int16(rng.IntN(4) - 1)},
			{Name: name(), ID: id(), Partitions: -1, Replication: -1, Assignments: []Assignment{{0, []int32{rng.Int32N(4)}}}},
		}, false)
	case 4:
		rs, _ = c.DeleteTopics([]TopicRef{{Name: name()}, {ID: id()}})
	case 5:
		rs, _ = c.CreatePartitions([]PartitionsSpec{{Topic: name(), Count: rng.Int32N(8)}}, false)
	case 6:
		value := fmt.Sprint(rng.IntN(3))
		rs, _ = c.AlterConfigs([]ConfigChange{{Topic: name(), Replace: rng.IntN(2) == 0, Ops: []ConfigOp{{Name: "retention.ms", Op: OpSet, Value: &value}}}}, false)
	case 7:
		value := fmt.Sprint(rng.IntN(3))
		rs, _ = c.AlterBrokerConfigs([]BrokerConfigChange{
			{Broker: rng.Int32N(3) - 1, Replace: rng.IntN(2) == 0, Ops: []ConfigOp{{Name: "log.retention.ms", Op: Op(rng.IntN(2)), Value: &value}}},
			{Broker: 1, Ops: []ConfigOp{{Name: "log.segment.bytes", Value: &value}}},
		}, rng.IntN(4) == 0)
	case 8:
		rs = c.PurgeTopics(c.Image().DeletedTopics())
		if rng.IntN(2) == 0 {
			rs, _, _ = c.AllocateProducerIDs()
		}
	}
	return rs
}

// same reports whether two images say the same.
func same(a, b *Image) bool {
	return bytes.Equal(encodeSnapshot(a), encodeSnapshot(b)) && a.ControllerID == b.ControllerID && consistent(a) == nil && consistent(b) == nil
}

// consistent checks the invariants of an image.
func consistent(m *Image) error {
	if m.byName.Len() != m.byID.Len() {
		return fmt.Errorf("%d names, %d ids", m.byName.Len(), m.byID.Len())
	}
	colliding, last := 0, ""
	for t := range m.Topics() {
		if t.Name <= last {
			return fmt.Errorf("topic %s follows %s", t.Name, last)
		}
		last = t.Name
		if m.TopicByID(t.ID) != t || len(t.Partitions) == 0 || m.Deleted(t.ID) {
			return fmt.Errorf("topic %+v", t)
		}
		if hasCollisionChars(t.Name) {
			colliding++
			if c, ok := m.collisions.Find(unifiedTo(unifyCollisionChars(t.Name))); !ok || c.name != t.Name {
				return fmt.Errorf("topic %s is not among the collisions %v", t.Name, m.collisions)
			}
		}
	}
	if colliding != m.collisions.Len() {
		return fmt.Errorf("collisions %v", m.collisions)
	}
	return nil
}

// TestApplyIsAtomic: a command of which one record cannot be applied changes
// nothing.
func TestApplyIsAtomic(t *testing.T) {
	c := newController()
	good := topicRecord{ID: topicID(1), Name: "t", Partitions: []Partition{{}}}.encode()
	for name, bad := range map[string][]byte{
		"unknown kind":      {99, 0},
		"newer version":     {kindCluster, 1, 0},
		"cut":               good[:len(good)-1],
		"longer":            append(slices.Clone(good), 0),
		"topic twice":       good,
		"topic unknown":     topicDeletedRecord{topicID(9)}.encode(),
		"partitions' place": partitionsRecord{ID: topicID(1), First: 5}.encode(),
		"no such broker":    brokerConfigsRecord{Broker: -2}.encode(),
		"producer ids back": producerIDsRecord{-1}.encode(),
		"empty":             {},
	} {
		if err := c.Apply(1, [][]byte{good, bad}); err == nil {
			t.Errorf("%s: applied", name)
		}
		if c.Image().Len() != 0 || c.Image().Offset != 0 {
			t.Fatalf("%s: half of a command took effect", name)
		}
	}
}

func FuzzDecodeRecord(f *testing.F) {
	for _, r := range []record{
		clusterRecord{"c"},
		brokerRecord{ID: 1, Rack: "r", Endpoints: []Endpoint{{"P", "h", 9}}},
		topicRecord{ID: topicID(1), Name: "t", Partitions: []Partition{{1, 2, []int32{1}, []int32{1}}}, Configs: map[string]string{"a": "b"}},
		topicDeletedRecord{topicID(1)},
		topicsPurgedRecord{[][16]byte{topicID(1)}},
		partitionsRecord{ID: topicID(1), First: 1, Partitions: []Partition{{}}},
		configsRecord{ID: topicID(1), Configs: map[string]string{"a": "b"}},
		producerIDsRecord{1000},
		brokerConfigsRecord{AllBrokers, map[string]string{"a": "b"}},
	} {
		f.Add(r.encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRecord(b)
		if err != nil {
			return
		}
		again, err := decodeRecord(r.encode())
		if err != nil || !reflect.DeepEqual(r, again) {
			t.Fatalf("%+v became %+v, %v", r, again, err)
		}
		_ = newController().Apply(1, [][]byte{b})
	})
}

func FuzzRestore(f *testing.F) {
	c := newController()
	rs, _ := c.RegisterBroker("c", Broker{ID: 1})
	_ = c.Apply(1, rs)
	rs, _ = c.CreateTopics([]TopicSpec{{Name: "t", ID: topicID(1), Partitions: 1, Replication: 1}}, false)
	_ = c.Apply(2, rs)
	value := "5"
	rs, _ = c.AlterBrokerConfigs([]BrokerConfigChange{
		{Broker: AllBrokers, Ops: []ConfigOp{{Name: "log.retention.ms", Value: &value}}},
		{Broker: 1, Ops: []ConfigOp{{Name: "a.plug-in's", Value: &value}}},
	}, false)
	_ = c.Apply(3, rs)
	f.Add(encodeSnapshot(c.Image()))
	f.Add(encodeSnapshot(newImage()))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeSnapshot(b)
		if err != nil {
			return
		}
		again, err := decodeSnapshot(encodeSnapshot(m))
		if err != nil || !same(m, again) {
			t.Fatalf("%+v became %+v, %v", m, again, err)
		}
	})
}

func TestReservedIDs(t *testing.T) {
	for id, want := range map[[16]byte]bool{{}: true, {15: 1}: true, {15: 2}: false, {0: 62 << 2}: true, {0: 61 << 2}: false} {
		if ReservedID(id) != want {
			t.Errorf("ReservedID(%x) = %v, want %v", id, !want, want)
		}
	}
}

func BenchmarkCreateTopic(b *testing.B) {
	for _, topics := range []int{10, 1000, 10_000} {
		b.Run(fmt.Sprintf("topics=%d", topics), func(b *testing.B) {
			c := newController()
			rs, _ := c.RegisterBroker("c", Broker{ID: 1})
			_ = c.Apply(0, rs)
			n := 0
			add := func() {
				n++
				id := [16]byte{0: 1, 13: byte(n >> 16), 14: byte(n >> 8), 15: byte(n)}
				rs, results := c.CreateTopics([]TopicSpec{{Name: strings.Repeat("t", 10) + fmt.Sprint(n), ID: id, Partitions: 1, Replication: 1}}, false)
				if results[0].Err != nil {
					b.Fatal(results[0].Err)
				}
				if err := c.Apply(int64(n), rs); err != nil {
					b.Fatal(err)
				}
			}
			for range topics {
				add()
			}
			b.ResetTimer()
			for b.Loop() {
				add()
			}
		})
	}
}
