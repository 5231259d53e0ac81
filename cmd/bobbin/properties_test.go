package main

import (
	"slices"
	"strings"
	"testing"
)

// TestProperties: what java.util.Properties makes of the same texts.
func TestProperties(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []property
	}{
		{"the three dividers", "a=1\nb: 2\nc 3\n", []property{{"a", "1", 1}, {"b", "2", 2}, {"c", "3", 3}}},
		{"space around the divider", "a = 1 \n b\t:\t2\nc   3", []property{{"a", "1 ", 1}, {"b", "2", 2}, {"c", "3", 3}}},
		{"only the first divider divides", "a=b=c:d\nx  = =y", []property{{"a", "b=c:d", 1}, {"x", "=y", 2}}},
		{"comments and empty lines", "# a=1\n  ! b=2\n\n   \na#=1!", []property{{"a#", "1!", 5}}},
		{"no value", "a\nb=\nc:", []property{{"a", "", 1}, {"b", "", 2}, {"c", "", 3}}},
		{"no key", "=1", []property{{"", "1", 1}}},
		{"continued", "a=1,\\\n   2,\\\n\t3\nb=4", []property{{"a", "1,2,3", 1}, {"b", "4", 4}}},
		{"continued by a comment, which is none", "a=1\\\n#2", []property{{"a", "1#2", 1}}},
		{"not continued", `a=1\\` + "\nb=2", []property{{"a", `1\`, 1}, {"b", "2", 2}}},
		{"continued by an empty line", "a=1\\\n   \nb=2", []property{{"a", "1", 1}, {"b", "2", 3}}},
		{"space, continued", "a= \\\n  b", []property{{"a", "b", 1}}},
		{"backslashes before the divider", `k\\=v` + "\n" + `l\\\=v`, []property{{`k\`, "v", 1}, {`l\=v`, "", 2}}},
		{"two dividers", "a : = b", []property{{"a", "= b", 1}}},
		{"continued to the end", "a=1\\", []property{{"a", "1", 1}}},
		{"continued keys", "lo\\\n  ng=1", []property{{"long", "1", 1}}},
		{"escapes", `a\ b\=c\:d=\t\n\r\f\\\q`, []property{{"a b=c:d", "\t\n\r\f\\q", 1}}},
		{"escaped comment", `\#a=1`, []property{{"#a", "1", 1}}},
		{"unicode", `a=\u0041\u00e4\uD83D\uDE00é`, []property{{"a", "Aä😀é", 1}}},
		{"half a surrogate pair", `a=\uD83Dx`, []property{{"a", "\uFFFDx", 1}}},
		{"other ends of lines", "a=1\r\nb=2\rc=3", []property{{"a", "1", 1}, {"b", "2", 2}, {"c", "3", 3}}},
		{"twice", "a=1\na=2", []property{{"a", "1", 1}, {"a", "2", 2}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseProperties(c.text)
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%q: %v, %v; want %v", c.text, got, err, c.want)
			}
		})
	}
	for _, text := range []string{`a=\u12`, `a=\u12g4`, `\uxxxx=1`} {
		if got, err := parseProperties("ok=1\n" + text); err == nil || !strings.HasPrefix(err.Error(), "line 2: ") {
			t.Errorf("%q: %v, %v; want an error about line 2", text, got, err)
		}
	}
}

// FuzzProperties: no input panics, lines ascend, and what was read can be
// written with escapes and read again.
func FuzzProperties(f *testing.F) {
	for _, s := range []string{"a=1\nb:2\nc 3", "a=1,\\\n  2", `a\ b=\u0041\uD83D\uDE00\t`, "#c\n!d\r\n\\", "=\n:\n \\\n="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseProperties(text)
		if err != nil {
			return
		}
		var written strings.Builder
		line := 0
		for _, p := range list {
			if p.line <= line {
				t.Fatalf("line %d after %d", p.line, line)
			}
			line = p.line
			written.WriteString(escapeProperty(p.key) + "=" + escapeProperty(p.value) + "\n")
		}
		again, err := parseProperties(written.String())
		if err != nil || len(again) != len(list) {
			t.Fatalf("%v became %v, %v", list, again, err)
		}
		for i := range list {
			if again[i].key != list[i].key || again[i].value != list[i].value {
				t.Fatalf("%v became %v", list[i], again[i])
			}
		}
	})
}

func escapeProperty(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; c {
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case ' ', '\t', '\f', '=', ':', '#', '!', '\\':
			b.WriteString(map[byte]string{'\t': `\t`, '\f': `\f`}[c])
			if c != '\t' && c != '\f' {
				b.WriteString(`\` + string(c))
			}
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
