package main

import (
	"strings"
	"testing"
	"time"
)

func TestParseSpan(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	at := func(k offsetKind, n int64) *offsetAt { return &offsetAt{k, n} }
	for _, c := range []struct {
		text  string
		from  offsetAt
		until *offsetAt
	}{
		{"start", offsetAt{offsetStart, 0}, nil},
		{"end", offsetAt{offsetEnd, 0}, nil},
		{"17", offsetAt{offsetExact, 17}, nil},
		{"+5", offsetAt{offsetStart, 5}, nil},
		{"-5", offsetAt{offsetEnd, 5}, nil},
		{":end", offsetAt{offsetStart, 0}, at(offsetEnd, 0)},
		{"start:end", offsetAt{offsetStart, 0}, at(offsetEnd, 0)},
		{"10:20", offsetAt{offsetExact, 10}, at(offsetExact, 20)},
		{"-10:-2", offsetAt{offsetEnd, 10}, at(offsetEnd, 2)},
		{"@1234", offsetAt{offsetSince, 1_234_000}, nil},
		{"@1234567890123", offsetAt{offsetSince, 1_234_567_890_123}, nil},
		{"@2023-11-14", offsetAt{offsetSince, 1_699_920_000_000}, nil},
		{"@2023-11-14T22:13:20Z", offsetAt{offsetSince, 1_700_000_000_000}, nil},
		{"@2023-11-14T22:13:20", offsetAt{offsetSince, 1_700_000_000_000}, nil},
		{"@-1h", offsetAt{offsetSince, 1_700_000_000_000 - 3_600_000}, nil},
		{"@-1h:@-30m", offsetAt{offsetSince, 1_700_000_000_000 - 3_600_000}, at(offsetSince, 1_700_000_000_000-1_800_000)},
		{"@-1h:-30m", offsetAt{offsetSince, 1_700_000_000_000 - 3_600_000}, at(offsetSince, 1_700_000_000_000-1_800_000)},
		{"@2023-11-14T22:13:20Z:@2023-11-15T00:00:00Z", offsetAt{offsetSince, 1_700_000_000_000}, at(offsetSince, 1_700_006_400_000)},
		{"@2023-11-14:end", offsetAt{offsetSince, 1_699_920_000_000}, at(offsetEnd, 0)},
	} {
		got, err := parseSpan(c.text, now)
		if err != nil || got.from != c.from || (got.until == nil) != (c.until == nil) || got.until != nil && *got.until != *c.until {
			t.Errorf("%s: from %v until %v, %v; want %v %v", c.text, got.from, got.until, err, c.from, c.until)
		}
	}
	for _, text := range []string{"", "soon", "+", "-", "--1", "+-1", "1:", "1:2:3", "@", "@soon", "1.5", "99999999999999999999"} {
		if got, err := parseSpan(text, now); err == nil {
			t.Errorf("%q: %v, want an error", text, got)
		}
	}
}

// FuzzParseSpan: no text panics, and what is accepted names a place.
func FuzzParseSpan(f *testing.F) {
	for _, s := range []string{"start:end", "-10", "+3:7", "@2023-11-14T22:13:20Z:@-1h", "::"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseSpan(text, time.UnixMilli(1_700_000_000_000))
		if err == nil && s.from.kind != offsetSince && s.from.n < 0 {
			t.Errorf("%q begins at %d", text, s.from.n)
		}
		if err != nil && strings.TrimSpace(err.Error()) == "" {
			t.Errorf("%q: an error without words", text)
		}
	})
}

func TestOffsetIn(t *testing.T) {
	const start, end, since = 3, 8, 5
	for _, c := range []struct {
		at   offsetAt
		want int64
	}{
		{offsetAt{offsetStart, 0}, 3}, {offsetAt{offsetStart, 2}, 5}, {offsetAt{offsetStart, 99}, 8},
		{offsetAt{offsetEnd, 0}, 8}, {offsetAt{offsetEnd, 2}, 6}, {offsetAt{offsetEnd, 99}, 3},
		{offsetAt{offsetExact, 4}, 4}, {offsetAt{offsetExact, 0}, 3}, {offsetAt{offsetExact, 99}, 8},
		{offsetAt{offsetStart, 1<<63 - 1}, 8}, {offsetAt{offsetEnd, 1<<63 - 1}, 3},
		{offsetAt{offsetSince, 1_234}, 5},
	} {
		if got := c.at.in(start, end, since); got != c.want {
			t.Errorf("%v in [%d, %d] is %d, want %d", c.at, start, end, got, c.want)
		}
	}
}
