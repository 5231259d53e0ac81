package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
)

// record is one line of a manifest:
//
//	partition TAB timestamp (ms) TAB key TAB value TAB header;header…
//
// Keys, values and both halves of a header (name=value) are in hexadecimal; "-" is null, nothing is empty. Lines are
// grouped by partition and in the order of their offsets. Every client of the suite writes the records of one such
// file, and what it reads is written as another, so that files are compared and nothing else.
type record struct {
	partition  int32
	timestamp  int64
	key, value []byte // nil: null
	headers    []header
}

type header struct {
	name  string
	value []byte // nil: null
}

// manifest returns the records that every client writes: the shapes that clients trip over, a run of small ones that
// fill real batches, and some large ones.
func manifest() []record {
	rng := rand.New(rand.NewPCG(4, 4))
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	h := func(name, value string) header { return header{name, []byte(value)} }
	shapes := []record{
		{key: []byte("key"), value: []byte("value")},
		{key: nil, value: []byte("no key")},
		{key: []byte("a tombstone"), value: nil},
		{key: nil, value: nil},
		{key: []byte{}, value: []byte("an empty key")},
		{key: []byte("an empty value"), value: []byte{}},
		{key: []byte{}, value: []byte{}},
		{key: []byte("grüße"), value: []byte("日本語 🧵")},
		{key: []byte{0, 1, 2, 0xff}, value: noise(256)},
		{key: []byte("one header"), value: []byte("v"), headers: []header{h("trace", "4bf92f3577b34da6")}},
		{key: []byte("many headers"), value: []byte("v"), headers: []header{h("a", "1"), h("a", "2"), h("b", "3"), h("größe", "4")}},
		{key: []byte("odd headers"), value: []byte("v"), headers: []header{h("empty", ""), {"null", nil}, {"bytes", []byte{0xff, 0xfe, 0x80}}}},
		{key: nil, value: nil, headers: []header{h("only", "headers")}},
		{key: []byte("lines"), value: []byte("one\ntwo\r\nthree\ttab\x00nul")},
	}
	var all []record
	for p := range int32(manifestPartitions) {
		n := int64(0)
		add := func(r record) {
			r.partition = p
			r.timestamp = 1_760_000_000_000 + int64(p)*1_000_000 + n*10
			n++
			all = append(all, r)
		}
		for _, s := range shapes {
			add(s)
		}
		for i := range 300 {
			add(record{key: fmt.Appendf(nil, "k%03d", i%40), value: fmt.Appendf(nil, "line %d of partition %d: %s", i, p, strings.Repeat("thread ", i%17))})
		}
		add(record{key: []byte("10 KB of noise"), value: noise(10_000)})
		add(record{key: []byte("100 KB that compress"), value: []byte(strings.Repeat("spool ", 17_000))})
		add(record{key: []byte("last"), value: fmt.Appendf(nil, "the end of partition %d", p)})
	}
	return all
}

func writeRecords(path string, records []record) error {
	var b strings.Builder
	for _, r := range records {
		heads := make([]string, len(r.headers))
		for i, h := range r.headers {
			heads[i] = hex.EncodeToString([]byte(h.name)) + "=" + hexOrNull(h.value)
		}
		fmt.Fprintf(&b, "%d\t%d\t%s\t%s\t%s\n", r.partition, r.timestamp, hexOrNull(r.key), hexOrNull(r.value), strings.Join(heads, ";"))
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

func readRecords(path string) ([]record, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []record
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		r, err := parseRecord(lines.Text())
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, len(all)+1, err)
		}
		all = append(all, r)
	}
	return all, lines.Err()
}

func parseRecord(line string) (r record, err error) {
	f := strings.Split(line, "\t")
	if len(f) != 5 {
		return r, fmt.Errorf("%d fields where 5 were due", len(f))
	}
	p, err := strconv.ParseInt(f[0], 10, 32)
	if err != nil {
		return r, err
	}
	r.partition = int32(p)
	if r.timestamp, err = strconv.ParseInt(f[1], 10, 64); err != nil {
		return r, err
	}
	if r.key, err = bytesOrNull(f[2]); err != nil {
		return r, err
	}
	if r.value, err = bytesOrNull(f[3]); err != nil {
		return r, err
	}
	for _, h := range strings.FieldsFunc(f[4], func(c rune) bool { return c == ';' }) {
		name, value, _ := strings.Cut(h, "=")
		n, err := hex.DecodeString(name)
		if err != nil {
			return r, err
		}
		v, err := bytesOrNull(value)
		if err != nil {
			return r, err
		}
		r.headers = append(r.headers, header{string(n), v})
	}
	return r, nil
}

func hexOrNull(b []byte) string {
	if b == nil {
		return "-"
	}
	return hex.EncodeToString(b)
}

// bytesOrNull returns nil for null and an empty slice, never nil, for no bytes.
func bytesOrNull(s string) ([]byte, error) {
	if s == "-" {
		return nil, nil
	}
	b, err := hex.DecodeString(s)
	return append([]byte{}, b...), err
}
