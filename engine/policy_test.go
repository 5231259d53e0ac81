package engine_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

func policyNamed(t *testing.T, name string) engine.SyncPolicy {
	t.Helper()
	for _, p := range engine.SyncPolicies {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("there is no sync policy %q", name)
	return engine.SyncPolicy{}
}

func TestSyncPolicyDue(t *testing.T) {
	const ms, us = time.Millisecond, time.Microsecond
	for _, c := range []struct {
		policy string
		tail   engine.Tail
		want   time.Duration
	}{
		{"always", engine.Tail{}, 0},
		{"always", engine.Tail{Records: 1, MaxRecords: 100, MaxAge: time.Hour}, 0},
		{"none", engine.Tail{Records: 1 << 40, MaxRecords: 1, MaxAge: time.Nanosecond}, engine.Never},
		{"interval", engine.Tail{Records: 9, MaxRecords: 10, MaxAge: time.Second}, time.Second},
		{"interval", engine.Tail{Records: 10, MaxRecords: 10, MaxAge: time.Second}, 0},
		{"interval", engine.Tail{Records: 11, MaxRecords: 10, MaxAge: time.Second}, 0},
		{"interval", engine.Tail{Records: 1, MaxRecords: 1<<63 - 1, MaxAge: 1<<63 - 1, Age: time.Hour}, engine.Never},
		{"interval", engine.Tail{Records: 1, MaxRecords: 10, MaxAge: time.Second, Age: 300 * time.Millisecond}, 700 * time.Millisecond},
		{"interval", engine.Tail{Records: 1, MaxRecords: 10, MaxAge: time.Second, Age: time.Minute}, -59 * time.Second},
		{"bytes", engine.Tail{Records: 1 << 40, Bytes: 999, MaxBytes: 1000, Age: time.Hour}, engine.Never},
		{"bytes", engine.Tail{Bytes: 1000, MaxBytes: 1000}, 0},
		{"bytes", engine.Tail{Bytes: 1001, MaxBytes: 1000}, 0},
		{"linger", engine.Tail{Appends: 1, Window: ms, Cost: ms}, 0},           // the first of all
		{"linger", engine.Tail{Appends: 1, Group: 1, Window: ms, Cost: ms}, 0}, // alone, as before
		{"linger", engine.Tail{Appends: 16, Group: 16, Window: ms, Cost: 200 * us}, 0},
		{"linger", engine.Tail{Appends: 17, Group: 16, Window: ms, Cost: 200 * us}, 0},
		{"linger", engine.Tail{Appends: 15, Group: 16, Window: ms, Cost: 200 * us, Age: 50 * us, Rest: time.Hour}, 150 * us},
		{"linger", engine.Tail{Appends: 15, Group: 16, Window: 100 * us, Cost: 200 * us, Rest: time.Hour}, 100 * us},
		{"linger", engine.Tail{Appends: 1, Group: 16, Window: ms, Cost: 200 * us, Age: 190 * us}, 200 * us}, // a sync has just ended
		{"linger", engine.Tail{Appends: 1, Group: 16, Window: ms, Cost: 200 * us, Age: 250 * us, Rest: 240 * us}, -40 * us},
		{"linger", engine.Tail{Appends: 1, Group: 16, Cost: 200 * us}, 0}, // no window
	} {
		if got := policyNamed(t, c.policy).Due(c.tail); got != c.want {
			t.Errorf("%s is due for %+v after %v, want %v", c.policy, c.tail, got, c.want)
		}
	}
	for _, p := range engine.SyncPolicies {
		// What survives a loss of power is said in the same words.
		if p.AckDurable != strings.Contains(p.Promise, "survives kill -9 and loss of power") {
			t.Errorf("policy %+v", p)
		}
	}
}

func TestRetentionExpired(t *testing.T) {
	now := time.UnixMilli(1_000_000)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	segments := []engine.SegmentStat{
		{Base: 0, Next: 10, Bytes: 60, Newest: ago(3 * time.Hour)},
		{Base: 10, Next: 20, Bytes: 60, Newest: ago(2 * time.Hour)},
		{Base: 20, Next: 30, Bytes: 60, Newest: ago(time.Hour)},
	}
	future := []engine.SegmentStat{{Bytes: 60, Newest: ago(-24 * 365 * time.Hour)}, segments[0]}
	for _, c := range []struct {
		name   string
		sealed []engine.SegmentStat
		keep   engine.Keep
		want   int
	}{
		{"time", segments, engine.Keep{Age: 90 * time.Minute, Bytes: 1}, 2},
		{"time", segments, engine.Keep{Age: time.Hour}, 2}, // as old as the bound is not too old
		{"time", segments, engine.Keep{Age: 0}, 3},
		{"time", segments, engine.Keep{Age: -1}, 0},
		{"time", future, engine.Keep{Age: time.Hour}, 0}, // a log has no holes
		{"time", nil, engine.Keep{Age: 0}, 0},
		{"size", segments, engine.Keep{Age: 0, Bytes: 180}, 0},
		{"size", segments, engine.Keep{Bytes: 179}, 0}, // what stays is at least the bound
		{"size", segments, engine.Keep{Bytes: 120}, 1},
		{"size", segments, engine.Keep{Bytes: 100}, 1},
		{"size", segments, engine.Keep{Bytes: 100, Active: 50}, 2},
		{"size", segments, engine.Keep{Bytes: 0}, 3},
		{"size", segments, engine.Keep{Bytes: -1}, 0},
		{"time+size", segments, engine.Keep{Age: 90 * time.Minute, Bytes: 100}, 2},
		{"time+size", segments, engine.Keep{Age: 1000 * time.Hour, Bytes: 100}, 1},
		{"keep", segments, engine.Keep{Age: 0, Bytes: 0}, 0},
	} {
		for _, r := range engine.Retentions {
			if r.Name != c.name {
				continue
			}
			if got := r.Expired(now, c.sealed, c.keep); got != c.want {
				t.Errorf("%s with %+v drops %d, want %d", c.name, c.keep, got, c.want)
			}
		}
	}
}

// A log that goes from one policy to another owes what the new one promises for
// what is there already.
func TestSetConfigBetweenPolicies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := smallConfig(engine.DefaultDesign)
		c.Design.Sync, c.FlushAge = "interval", time.Minute
		s := openStore(t, vfs.NewMem(), "/data")
		l := create(t, s, "t-0", c)
		defer closeStore(t, s, l)
		set := func(policy string, age time.Duration) {
			t.Helper()
			c.Design.Sync, c.FlushAge = policy, age
			if err := l.SetConfig(c); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		durable := func(want int64) {
			t.Helper()
			synctest.Wait()
			if m := l.Marks(); m.Durable != want {
				t.Errorf("marks are %+v, want %d durable", m, want)
			}
		}
		mustAppend(t, l, records(1, "a", 1))
		durable(0)
		<-time.After(time.Minute)
		durable(1)
		mustAppend(t, l, records(1, "b", 1))
		set("none", time.Minute)
		<-time.After(time.Hour) // the timer fires, and nothing is due
		durable(1)
		set("interval", time.Second) // of which an hour has passed
		durable(2)
		mustAppend(t, l, records(1, "c", 1))
		<-time.After(time.Second)
		durable(3)
		mustAppend(t, l, records(1, "d", 1))
		set("interval", time.Hour)
		set("interval", time.Millisecond) // sooner than the timer that runs
		<-time.After(time.Millisecond)
		durable(4)
		set("none", time.Second)
		mustAppend(t, l, records(1, "e", 1))
		set("always", time.Second)
		durable(5) // though nobody appends or waits
	})
}

func TestSetConfigRefusesAnotherLayout(t *testing.T) {
	s := openStore(t, vfs.NewMem(), "/data")
	c := smallConfig(engine.DefaultDesign)
	l := create(t, s, "t-0", c)
	defer closeStore(t, s, l)
	c.Design.Index = "none"
	if err := l.SetConfig(c); err == nil || l.Config().Design.Index == "none" {
		t.Errorf("the index design of a log that exists was changed: %v", err)
	}
}
