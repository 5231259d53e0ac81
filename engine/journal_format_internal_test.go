package engine

import (
	"bytes"
	"errors"
	"testing"
)

func groupOf(stamp groupStamp, entries ...journalEntry) []byte {
	group := make([]byte, groupHeader)
	for _, e := range entries {
		var room []byte
		group, room = appendEntry(group, e)
		copy(room, bytes.Repeat([]byte{7}, len(room)))
	}
	return sealGroup(group, len(entries), stamp)
}

func TestJournalFormat(t *testing.T) {
	stamp := groupStamp{file: 3, number: 12, durable: 10}
	want := []journalEntry{
		{name: "my-topic-7", topic: [16]byte{1, 2}, from: 5, next: 9, size: 5000},
		{name: "other-0", barrier: true},
		{name: "other-0", from: 0, next: 1, size: 61},
	}
	group := groupOf(stamp, want...)
	if len(group)%journalBlock != 0 {
		t.Errorf("a group has %d bytes", len(group))
	}
	size, err := groupSize(group, 3, int64(len(group)))
	if err != nil {
		t.Fatal(err)
	}
	got, entries, err := readGroup(group[:size])
	if err != nil || got != stamp || len(entries) != len(want) {
		t.Fatalf("read %+v, %d entries, %v", got, len(entries), err)
	}
	for i, e := range entries {
		batches := group[e.pos : e.pos+e.size]
		if len(bytes.Trim(batches, "\x07")) > 0 {
			t.Errorf("entry %d has the batches %x", i, batches)
		}
		if e.pos = 0; e != want[i] {
			t.Errorf("entry %d is %+v, want %+v", i, e, want[i])
		}
	}
	if _, err := groupSize(group, 4, int64(len(group))); !errors.Is(err, errNoGroup) {
		t.Errorf("a group of another file: %v", err)
	}
	if _, err := groupSize(group, 3, size-1); !errors.Is(err, errNoGroup) {
		t.Errorf("a group that does not fit: %v", err)
	}
}

// Whatever is in a file is a group, or is not, or is one that says something
// impossible.
func FuzzJournalGroup(f *testing.F) {
	f.Add(groupOf(groupStamp{file: 1, number: 1}, journalEntry{name: "t-0", from: 1, next: 3, size: 100}))
	f.Add(groupOf(groupStamp{file: 1, number: 2, durable: 1}, journalEntry{name: "t-0", barrier: true}))
	f.Fuzz(func(t *testing.T, b []byte) {
		size, err := groupSize(b, 1, int64(len(b)))
		if err != nil {
			return
		}
		group := bytes.Clone(b[:size])
		// With the checksum right, so that the entries are looked at.
		n := uint32(group[groupEntries])<<24 | uint32(group[groupEntries+1])<<16 | uint32(group[groupEntries+2])<<8 | uint32(group[groupEntries+3])
		sealed := sealGroup(bytes.Clone(group), int(n), groupStamp{file: 1})
		_, entries, err := readGroup(sealed[:size])
		for _, e := range entries {
			if err == nil && (e.pos < groupHeader || e.size < 0 || e.pos+e.size > size) {
				t.Errorf("entry %+v of a group of %d bytes", e, size)
			}
		}
		_, _, _ = readGroup(group)
	})
}
