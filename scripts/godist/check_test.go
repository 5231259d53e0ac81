package main

import (
	"bufio"
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheck shows that the comparison sees each kind of damage.
func TestCheck(t *testing.T) {
	const in = "a\t1\nb\t2\na\t\nb\t4\na\t1\n"
	for _, c := range []struct {
		name       string
		partitions []string
		says       string // "" when all is well
	}{
		{"whole", []string{"a\t1\na\t\na\t1\n", "b\t2\nb\t4\n"}, ""},
		{"an empty partition", []string{"", "a\t1\nb\t2\na\t\nb\t4\na\t1\n"}, ""},
		{"lost in the middle", []string{"a\t1\na\t1\n", "b\t2\nb\t4\n"}, "lost=1 duplicated_or_changed=0"},
		{"lost at the end", []string{"a\t1\na\t\n", "b\t2\nb\t4\n"}, "lost=1 duplicated_or_changed=0"},
		{"a whole key lost", []string{"a\t1\na\t\na\t1\n", ""}, "lost=2 duplicated_or_changed=0"},
		{"twice", []string{"a\t1\na\t\na\t1\n", "b\t2\nb\t2\nb\t4\n"}, "lost=0 duplicated_or_changed=1"},
		{"twice at the end", []string{"a\t1\na\t\na\t1\n", "b\t2\nb\t4\nb\t4\n"}, "out=6"},
		{"changed", []string{"a\t1\na\tx\na\t1\n", "b\t2\nb\t4\n"}, "lost=1 duplicated_or_changed=1"},
		{"out of order", []string{"a\t1\na\t\na\t1\n", "b\t4\nb\t2\n"}, "lost=0 duplicated_or_changed=0 out_of_order=1"},
		{"in two partitions", []string{"a\t1\na\t\n", "b\t2\nb\t4\na\t1\n"}, "keys_in_two_partitions=1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			write := func(name, text string) string {
				path := filepath.Join(dir, name)
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			var out bytes.Buffer
			err := check(&out, write("in", in), []string{write("0", c.partitions[0]), write("1", c.partitions[1])})
			if (c.says == "") != (err == nil) || (err != nil && !errors.Is(err, errDiffers)) {
				t.Errorf("error %v\n%s", err, out.String())
			}
			if !strings.Contains(out.String(), c.says) {
				t.Errorf("says %q, want %q in it", out.String(), c.says)
			}
		})
	}
}

// TestFeed shows that the copy is whole and that every mark is made, repeatably by seed.
func TestFeed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "in")
	text := strings.Repeat("key\tvalue\n", 1000)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var before string
	for range 2 {
		var out, marks bytes.Buffer
		w := bufio.NewWriter(&out)
		if err := errors.Join(feed(w, &marks, path, 20, rand.New(rand.NewPCG(7, 0))), w.Flush()); err != nil {
			t.Fatal(err)
		}
		if out.String() != text || strings.Count(marks.String(), "\n") != 20 {
			t.Fatalf("%d bytes of %d, marks %q", out.Len(), len(text), marks.String())
		}
		if before != "" && before != marks.String() {
			t.Errorf("marks %q, and with the same seed %q", before, marks.String())
		}
		before = marks.String()
	}
}

// TestInput shows what becomes a record: every line of every .go file, with its carriage return, the last one too.
func TestInput(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"b.go": "x\r\n\nlast", "a/a.go": "1\n2\n", "no.txt": "no\n"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for limit, want := range map[int]string{
		-1: "a/a.go\t1\na/a.go\t2\nb.go\tx\r\nb.go\t\nb.go\tlast\n",
		3:  "a/a.go\t1\na/a.go\t2\nb.go\tx\r\n",
	} {
		var out bytes.Buffer
		w := bufio.NewWriter(&out)
		if err := errors.Join(input(w, dir, limit), w.Flush()); err != nil || out.String() != want {
			t.Errorf("limit %d: %q, %v, want %q", limit, out.String(), err, want)
		}
	}
}
