package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// offsetKind says what an offsetAt counts from.
type offsetKind int

const (
	offsetExact offsetKind = iota // n itself
	offsetStart                   // n after the first record
	offsetEnd                     // n before the end
	offsetSince                   // the first record with a timestamp of n ms or later
)

// offsetAt is a place in every partition, as a user names it.
type offsetAt struct {
	kind offsetKind
	n    int64
}

// span is the value of --offset. Example: "-10:end" is {{offsetEnd 10} {offsetEnd 0}}.
type span struct {
	from  offsetAt
	until *offsetAt // nil: no end
}

// offsetRange are the offsets [from, until) of one partition.
type offsetRange struct{ from, until int64 }

// parseSpan reads FROM, FROM:UNTIL and :UNTIL. Times may have colons
// themselves, so every one is tried as the divider, after none of them.
func parseSpan(s string, now time.Time) (span, error) {
	from, err := parseOffset(s, now)
	if err == nil {
		return span{from: from}, nil
	}
	for i := range len(s) {
		if s[i] != ':' {
			continue
		}
		sp := span{from: offsetAt{kind: offsetStart}}
		if i > 0 {
			var ferr error
			if sp.from, ferr = parseOffset(s[:i], now); ferr != nil {
				continue
			}
		}
		right := s[i+1:]
		until, uerr := parseOffset(right, now)
		if uerr != nil && sp.from.kind == offsetSince {
			until, uerr = parseOffset("@"+right, now) // @t1:t2
		}
		if uerr == nil {
			sp.until = &until
			return sp, nil
		}
	}
	return span{}, err
}

func parseOffset(s string, now time.Time) (offsetAt, error) {
	bad := fmt.Errorf("offset %q is not start, end, a number, +number, -number or @time (see 'bobbin consume --help')", s)
	number := func(digits string) (int64, error) {
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n < 0 || strings.HasPrefix(digits, "+") {
			return 0, bad
		}
		return n, nil
	}
	switch {
	case s == "start", s == "oldest", s == "beginning":
		return offsetAt{kind: offsetStart}, nil
	case s == "end", s == "newest":
		return offsetAt{kind: offsetEnd}, nil
	case strings.HasPrefix(s, "@"):
		ms, err := parseTime(s[1:], now)
		if err != nil {
			return offsetAt{}, err
		}
		return offsetAt{offsetSince, ms}, nil
	case strings.HasPrefix(s, "+"):
		n, err := number(s[1:])
		return offsetAt{offsetStart, n}, err
	case strings.HasPrefix(s, "-"):
		n, err := number(s[1:])
		return offsetAt{offsetEnd, n}, err
	default:
		n, err := number(s)
		return offsetAt{offsetExact, n}, err
	}
}

// parseTime reads a moment, in ms since 1970.
func parseTime(s string, now time.Time) (int64, error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n >= 0 {
		if len(s) <= 10 {
			n *= 1000 // seconds: 10 digits reach the year 2286
		}
		return n, nil
	}
	if d, err := time.ParseDuration(s); err == nil {
		return now.Add(d).UnixMilli(), nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UnixMilli(), nil
		}
	}
	return 0, fmt.Errorf("time %q is not milliseconds or seconds since 1970, 2006-01-02, 2006-01-02T15:04:05Z or a duration such as -1h", s)
}

// resolve asks the broker what the span means for every partition.
func (s span) resolve(ctx context.Context, adm *kadm.Client, topics []string, o *consumeOptions) (map[topicPartition]offsetRange, error) {
	starts, err := adm.ListStartOffsets(ctx, topics...)
	if err != nil {
		return nil, err
	}
	listEnds := adm.ListEndOffsets
	if o.committed {
		listEnds = adm.ListCommittedOffsets
	}
	ends, err := listEnds(ctx, topics...)
	if err != nil {
		return nil, err
	}
	times := map[int64]kadm.ListedOffsets{}
	for _, at := range []*offsetAt{&s.from, s.until} {
		if at == nil || at.kind != offsetSince {
			continue
		}
		if times[at.n], err = adm.ListOffsetsAfterMilli(ctx, at.n, topics...); err != nil {
			return nil, err
		}
	}
	ranges := map[topicPartition]offsetRange{}
	for _, topic := range topics {
		if missing, ok := starts.Lookup(topic, -1); ok || len(starts[topic]) == 0 {
			_ = missing
			return nil, noSuchTopic(topic)
		}
		for _, p := range o.partitions {
			if _, ok := starts.Lookup(topic, p); !ok {
				return nil, fmt.Errorf("topic %q has no partition %d: it has 0 to %d", topic, p, len(starts[topic])-1)
			}
		}
		for p, start := range starts[topic] {
			if len(o.partitions) > 0 && !slices.Contains(o.partitions, p) {
				continue
			}
			end, _ := ends.Lookup(topic, p)
			for _, l := range []kadm.ListedOffset{start, end} {
				if l.Err != nil {
					return nil, fmt.Errorf("%s[%d]: %w", topic, p, brokerError(l.Err, ""))
				}
			}
			place := func(at offsetAt) int64 {
				since, _ := times[at.n].Lookup(topic, p)
				return at.in(start.Offset, end.Offset, since.Offset)
			}
			r := offsetRange{from: place(s.from)}
			if s.until != nil {
				r.until = place(*s.until)
			}
			ranges[topicPartition{topic, p}] = r
		}
	}
	return ranges, nil
}

// in is the place in a partition [start, end], where since is the offset of the
// time that at names. Example: {offsetEnd 10} in [3, 8] is 3.
func (at offsetAt) in(start, end, since int64) int64 {
	n := at.n
	switch at.kind {
	case offsetStart:
		n = start + min(at.n, end-start)
	case offsetEnd:
		n = end - min(at.n, end-start)
	case offsetSince:
		n = since
	}
	return min(max(n, start), end)
}
