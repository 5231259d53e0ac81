package batch

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	one := unhex(t, tiny)
	three := bytes.Repeat(one, 3)
	s, err := Parse(three)
	if err != nil || s.Len() != 3 || s.Records() != 6 || s.Size() != 243 || !bytes.Equal(s.Bytes(), three) {
		t.Fatalf("%d batches, %d records, %v", s.Len(), s.Records(), err)
	}
	next := int64(100)
	for b := range s.All() {
		b.Stamp(next, 1)
		next = b.NextOffset()
	}
	if next != 106 || s.First().BaseOffset() != 100 || Batch(three[162:]).BaseOffset() != 104 {
		t.Errorf("stamped up to %d, first at %d", next, s.First().BaseOffset())
	}
	seen := 0
	for range s.All() {
		seen++
		break
	}
	if seen != 1 {
		t.Error("All goes on after a break")
	}
}

func TestParseEmpty(t *testing.T) {
	for _, buf := range [][]byte{nil, {}} {
		s, err := Parse(buf)
		if err != nil || s.Len() != 0 || s.Records() != 0 || s.First() != nil {
			t.Errorf("%+v, %v", s, err)
		}
		for range s.All() {
			t.Error("an empty set has a batch")
		}
	}
	for range (Set{}).All() {
		t.Error("the zero set has a batch")
	}
}

func TestParseErrors(t *testing.T) {
	one := unhex(t, tiny)
	bad := patched(t, posCRC, "00000000")
	for _, c := range []struct {
		name    string
		buf     []byte
		want    error
		text    string
		trusted bool // Trusted takes it
	}{
		{"second is corrupt", append(bytes.Clone(one), bad...), ErrCorrupt, "at byte 81 of 162", true},
		{"second is cut", append(bytes.Clone(one), one[:70]...), ErrTruncated, "at byte 81 of 151", false},
		{"trailing byte", append(bytes.Clone(one), 0), ErrTruncated, "at byte 81 of 82", false},
		{"old magic", patched(t, posMagic, "00"), ErrMagic, "at byte 0", false},
		{"zeros", make([]byte, 100), ErrMagic, "magic 0", false},
	} {
		s, err := Parse(c.buf)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) || s.Len() != 0 {
			t.Errorf("%s: %v, want %v with %q", c.name, err, c.want, c.text)
		}
		if _, err := Trusted(c.buf); (err == nil) != c.trusted {
			t.Errorf("%s: trusted gives %v", c.name, err)
		}
	}
}

func TestHotPathsAllocateNothing(t *testing.T) {
	buf := bytes.Repeat(Of(samples()...).Bytes(), 4)
	spec := Of(samples()...)
	dst := make([]byte, 0, len(buf))
	for name, f := range map[string]func(){
		"Parse and All": func() {
			s, err := Parse(buf)
			if err != nil {
				t.Fatal(err)
			}
			next := int64(0)
			for b := range s.All() {
				b.Stamp(next, 3)
				next = b.NextOffset()
			}
		},
		"Validate": func() {
			if err := Batch(buf[:len(buf)/4]).Validate(Rules{Internal: true}); err != nil {
				t.Fatal(err)
			}
		},
		"Spec.Append": func() { dst = spec.Append(dst[:0]) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}
