package engine_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// A clock that jumps, and records that say they are from another time: retention
// goes by what the records say, and drops no segment with a record that is young
// by the clock it is asked with. A clock that is wrong by years takes nothing that
// the true one would not, if it is behind, or if the records are as far ahead.
func TestRetentionAndTheClock(t *testing.T) {
	const age, year = 24 * time.Hour, 365 * 24 * time.Hour
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for _, jump := range []time.Duration{0, time.Hour, -time.Hour, -10 * year} {
		for _, ahead := range []time.Duration{0, -time.Hour, time.Hour, 10 * year} {
			t.Run(fmt.Sprintf("jump=%v/ahead=%v", jump, ahead), func(t *testing.T) {
				at := newClock(now)
				s := openStoreAt(t, vfs.NewMem(), "/data", at)
				c := smallConfig(engine.DefaultDesign)
				c.RetentionAge, c.RetentionBytes = age, -1
				l := create(t, s, "t-0", c)
				for i := range 100 {
					mustAppend(t, l, records(5, fmt.Sprint(i), now.Add(ahead).UnixMilli()))
				}
				at.add(jump)
				s.Tick(at.now())
				s.Tick(now) // and the clock is put right
				if m := l.Marks(); m.Start != 0 || m.End != 500 {
					t.Errorf("marks are %+v, and no record is older than %v", m, age)
				}
				// What has expired by the true clock goes, whatever the clock was before.
				s.Tick(now.Add(ahead + age + time.Hour))
				if m := l.Marks(); m.Start != 500 {
					t.Errorf("marks are %+v, and all records are older than %v", m, age)
				}
				closeStore(t, s, l)
			})
		}
	}
}

// One record from the future keeps its segment and those behind it, and no other:
// the segments before it go by their own age.
func TestRetentionAndOneFutureRecord(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	s := openStore(t, vfs.NewMem(), "/data")
	c := smallConfig(engine.DefaultDesign)
	c.RetentionAge, c.RetentionBytes = time.Hour, -1
	l := create(t, s, "t-0", c)
	for i := range 100 {
		ms := now.Add(-2 * time.Hour).UnixMilli()
		if i == 50 {
			ms = now.Add(10 * 365 * 24 * time.Hour).UnixMilli()
		}
		mustAppend(t, l, records(5, fmt.Sprint(i), ms))
	}
	s.Tick(now)
	if m, first := l.Marks(), l.Segments()[0]; m.Start == 0 || m.Start > 250 || first.Next <= 250 {
		t.Errorf("marks are %+v, the first segment is [%d, %d): it should be the one that has offset 250", m, first.Base, first.Next)
	}
	closeStore(t, s, l)
}
