package main

import (
	"encoding/json"
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

func TestVersions(t *testing.T) {
	within := versions{3, 13}
	tests := []struct {
		text, condition, outside, comment string
	}{
		{"", "false", "true", "none"},
		{"none", "false", "true", "none"},
		{"0+", "true", "false", "versions 3 to 13"},
		{"0-2", "false", "true", "none"},
		{"9+", "version >= 9", "version < 9", "versions 9 to 13"},
		{"0-12", "version <= 12", "version > 12", "versions 3 to 12"},
		{"13", "version >= 13", "version < 13", "version 13"},
		{"5", "version == 5", "(version < 5 || version > 5)", "version 5"},
		{"8-10", "version >= 8 && version <= 10", "(version < 8 || version > 10)", "versions 8 to 10"},
	}
	for _, test := range tests {
		v, err := parseVersions(test.text)
		if err != nil {
			t.Errorf("%q: %v", test.text, err)
		}
		if got := v.condition(within); got != test.condition {
			t.Errorf("%q: condition %q", test.text, got)
		}
		if got := v.outside(within); got != test.outside {
			t.Errorf("%q: outside %q", test.text, got)
		}
		if got := v.and(within).String(); got != test.comment {
			t.Errorf("%q: %q", test.text, got)
		}
	}
	for _, bad := range []string{"x", "1-", "-1", "1-x", "+", "99999"} {
		if v, err := parseVersions(bad); err == nil {
			t.Errorf("%q is taken as %v", bad, v)
		}
	}
}

func TestWithoutComments(t *testing.T) {
	const in = "// a licence\n{ \"a\": \"http://x\", // why\n  \"b\": \"\\\"//\" } // end"
	const want = "\n{ \"a\": \"http://x\", \n  \"b\": \"\\\"//\" } "
	if got := withoutComments(in); got != want {
		t.Errorf("got %q", got)
	}
}

// build makes Go of a definition.
func build(t *testing.T, definition string) (string, error) {
	t.Helper()
	spec := new(messageSpec)
	if err := json.Unmarshal([]byte(definition), spec); err != nil {
		t.Fatal(err)
	}
	m, err := newMessage(spec)
	if err != nil {
		return "", err
	}
	src, err := emitMessage(m, "0.0")
	return string(src), err
}

// TestEmit covers what none of the messages generated today has.
func TestEmit(t *testing.T) {
	src, err := build(t, `{"apiKey": 1, "type": "request", "name": "X", "validVersions": "1-4", "flexibleVersions": "2+",
		"commonStructs": [{"name": "C", "versions": "0+", "fields": [{"name": "N", "type": "int32", "versions": "0+"}]}],
		"fields": [
			{"name": "gone", "type": "int32", "versions": "0"},
			{"name": "A", "type": "[]C", "versions": "0+"},
			{"name": "B", "type": "C", "versions": "3+", "taggedVersions": "3+", "tag": 0},
			{"name": "D", "type": "uint16", "versions": "0+", "default": 7},
			{"name": "E", "type": "string", "versions": "2+", "nullableVersions": "2+", "default": "x", "taggedVersions": "2+", "tag": 1},
			{"name": "F", "type": "bytes", "versions": "0+", "nullableVersions": "2+"},
			{"name": "G", "type": "float64", "versions": "0+"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.ParseFile(token.NewFileSet(), "x.go", src, 0); err != nil {
		t.Error(err)
	}
	for _, want := range []string{
		"type XC struct", "A []XC\n", "D uint16  // default 7", "m.D = 7", "r.float64(\"G\")",
		"m.F = r.bytes(version >= 2, \"F\")", "case tag == 0 && version >= 3:", "version < 3 && !m.B.isDefault()",
		`(m.E == nil || *m.E != "x")`,
	} {
		if !strings.Contains(src, want) {
			t.Errorf("%q isn't in\n%s", want, src)
		}
	}
	if strings.Contains(src, "Gone") {
		t.Error("a field that no version has is generated")
	}
}

func TestUnsupportedDefinitions(t *testing.T) {
	tests := []struct{ name, valid, field, why string }{
		{"no versions", "none", `{"name": "A", "type": "int8", "versions": "0+"}`, "has no valid versions"},
		{"unknown type", "0", `{"name": "A", "type": "Foo", "versions": "0+"}`, "type Foo is unknown"},
		{"tag without number", "0", `{"name": "A", "type": "int8", "versions": "0+", "taggedVersions": "0+"}`, "no tag"},
		{"sometimes tagged", "0-1", `{"name": "A", "type": "int8", "versions": "0+", "taggedVersions": "1+", "tag": 0}`, "tagged in some versions only"},
		{"tagged records", "0", `{"name": "A", "type": "records", "versions": "0+", "taggedVersions": "0+", "tag": 0}`, "tagged records"},
		{"nullable number", "0", `{"name": "A", "type": "int8", "versions": "0+", "nullableVersions": "0+"}`, "nullable int8"},
		{"nullable struct", "0", `{"name": "A", "type": "S", "versions": "0+", "nullableVersions": "0+", "fields": []}`, "default other than null"},
		{"bad versions", "0", `{"name": "A", "type": "int8", "versions": "x+"}`, `versions "x+"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := build(t, `{"type": "request", "name": "X", "validVersions": "`+test.valid+`", "flexibleVersions": "0+",
				"fields": [`+test.field+`]}`)
			if err == nil || !strings.Contains(err.Error(), test.why) {
				t.Errorf("error is %v", err)
			}
		})
	}
}
