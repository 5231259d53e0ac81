package main

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// readLines returns all lines of r.
func readLines(r io.Reader, maxBytes int) (lines []string, err error) {
	l := &lineReader{r: r, maxBytes: maxBytes}
	for {
		more, err := l.next()
		if errors.Is(err, io.EOF) {
			return lines, nil
		}
		if err != nil {
			return lines, err
		}
		for _, line := range more {
			lines = append(lines, string(line))
		}
	}
}

// wantLines is what the lines of a text are: split at '\n', without an empty
// one after the last '\n'.
func wantLines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

func checkLines(t *testing.T, text string) {
	t.Helper()
	for name, r := range map[string]io.Reader{
		"at once":           strings.NewReader(text),
		"byte by byte":      iotest.OneByteReader(strings.NewReader(text)),
		"in halves":         iotest.HalfReader(strings.NewReader(text)),
		"data with its end": iotest.DataErrReader(strings.NewReader(text)),
	} {
		got, err := readLines(r, len(text)+1)
		want := wantLines(text)
		if err != nil || strings.Join(got, "\x00") != strings.Join(want, "\x00") || len(got) != len(want) {
			t.Errorf("%.40q %s: %d lines, %v; want %d", text, name, len(got), err, len(want))
		}
	}
}

func TestLines(t *testing.T) {
	long := strings.Repeat("x", lineBlockBytes)
	for _, text := range []string{
		"", "\n", "\n\n", "a", "a\n", "a\nb", "a\r\nb\r\n", "\na\n\nb\n", "\x00\xff\n\xfe",
		long, long + "\n", "a\n" + long + long + long + "\nb", long[1:] + "\n" + long + "\n", strings.Repeat("line\n", 50_000),
	} {
		checkLines(t, text)
	}
}

// FuzzLines holds the reader against strings.Split.
func FuzzLines(f *testing.F) {
	for _, s := range []string{"", "a\nb", "\n\n", "a\r\n"} {
		f.Add(s, 1)
	}
	f.Fuzz(func(t *testing.T, text string, repeat int) {
		checkLines(t, strings.Repeat(text, max(1, min(repeat, 100_000/(len(text)+1)))))
	})
}

func TestLineTooLong(t *testing.T) {
	for _, text := range []string{"ok\n" + strings.Repeat("x", 101) + "\nok\n", "ok\n" + strings.Repeat("x", 300_000)} {
		_, err := readLines(strings.NewReader(text), 100)
		if !errors.Is(err, errLineTooLong) || !strings.HasPrefix(err.Error(), "line 2: ") {
			t.Errorf("%v, want an error about line 2", err)
		}
	}
	// Nothing is gathered past the bound.
	endless := io.MultiReader(strings.NewReader("x"), neverEnding('x'))
	if _, err := readLines(endless, 1<<20); !errors.Is(err, errLineTooLong) {
		t.Errorf("%v", err)
	}
}

type neverEnding byte

func (n neverEnding) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(n)
	}
	return len(p), nil
}

// TestReadError: what was read before an error is still delivered, as a line.
func TestReadError(t *testing.T) {
	got, err := readLines(io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(io.ErrClosedPipe)), 100)
	if !errors.Is(err, io.ErrClosedPipe) || strings.Join(got, ",") != "a,b" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestKeySeparator(t *testing.T) {
	l := &lineRecords{lines: &lineReader{r: strings.NewReader("k:v\n:v\nk:\na:b:c\nbad\nk:v\n"), maxBytes: 100}, separator: []byte(":")}
	records, err := l.next()
	if err != nil || len(records) != 4 {
		t.Fatalf("%d records, %v; want those before the bad line", len(records), err)
	}
	for i, want := range []string{"k=v", "=v", "k=", "a=b:c"} {
		if got := string(records[i].Key) + "=" + string(records[i].Value); got != want || records[i].Key == nil {
			t.Errorf("record %d is %s, want %s", i, got, want)
		}
	}
	if _, err = l.next(); err == nil || !strings.Contains(err.Error(), `line 5 has no key separator ":"`) {
		t.Errorf("%v", err)
	}
}
