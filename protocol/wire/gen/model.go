package main

import (
	"fmt"
	"strconv"
	"strings"
)

// message is a definition with everything resolved: what exists in which of the
// valid versions, under which Go name.
type message struct {
	name     string
	key      *int16
	valid    versions
	flexible versions
	// structs are the message itself, first, and the structs in it.
	structs []*structure
	byName  map[string]*structure
}

// structure becomes a Go struct.
type structure struct {
	// name is the Go name, and path how errors name its place in the message.
	name, path string
	versions   versions
	fields     []*field
	// inArray and compared say whether the least encoded size, and the
	// comparison with the default, are needed.
	inArray, compared bool
}

// kind is a field's shape on the wire.
type kind int

const (
	fixed     kind = iota // a number, bool or UUID
	text                  // a string
	blob                  // bytes
	records               // record batches
	array                 // of fixed, text or composite
	composite             // a struct
)

type field struct {
	name string
	path string
	kind kind
	// base is the primitive's name in Kafka's notation, or that of an array's
	// elements; empty when these are structs.
	base      string
	structure *structure
	// versions, nullable and tagged are within the struct's versions.
	versions, nullable, tagged versions
	tag                        uint32
	ignorable                  bool
	// classic says that the string is never compact.
	classic bool
	initial string
}

// sizes are the encoded sizes of the fixed primitives in bytes.
var sizes = map[string]int{
	"bool": 1, "int8": 1, "int16": 2, "uint16": 2, "int32": 4, "int64": 8, "float64": 8, "uuid": 16,
}

func newMessage(spec *messageSpec) (*message, error) {
	m := &message{name: spec.Name, key: spec.APIKey, byName: make(map[string]*structure)}
	var err error
	if m.valid, err = parseVersions(spec.ValidVersions); err != nil {
		return nil, fmt.Errorf("%s: %w", spec.Name, err)
	}
	if m.valid.empty() {
		return nil, fmt.Errorf("%s: has no valid versions", spec.Name)
	}
	if m.flexible, err = parseVersions(spec.FlexibleVersions); err != nil {
		return nil, fmt.Errorf("%s: %w", spec.Name, err)
	}
	m.flexible = m.flexible.and(m.valid)
	top := &structure{name: spec.Name, versions: m.valid}
	m.structs = append(m.structs, top)
	var common []*structure
	for _, c := range spec.CommonStructs {
		s, err := m.declare(c.Name, c.Name, c.Versions, m.valid)
		if err != nil {
			return nil, err
		}
		common = append(common, s)
	}
	for i, c := range spec.CommonStructs {
		if err := m.fill(common[i], c.Fields); err != nil {
			return nil, err
		}
	}
	return m, m.fill(top, spec.Fields)
}

// declare adds a struct of the given name in Kafka's notation.
func (m *message) declare(name, path, vs string, within versions) (*structure, error) {
	v, err := parseVersions(vs)
	if err != nil {
		return nil, fmt.Errorf("%s.%s: %w", m.name, path, err)
	}
	if m.byName[name] != nil {
		return nil, fmt.Errorf("%s: two structs are called %s", m.name, name)
	}
	// Some of Kafka's names have the message's name in them already.
	s := &structure{name: m.name + strings.TrimPrefix(name, m.name), path: path, versions: v.and(within)}
	m.byName[name] = s
	m.structs = append(m.structs, s)
	return s, nil
}

func (m *message) fill(s *structure, specs []*fieldSpec) error {
	for _, spec := range specs {
		f, err := m.newField(s, spec)
		if err != nil {
			return fmt.Errorf("%s.%s: %w", s.name, spec.Name, err)
		}
		if f != nil {
			s.fields = append(s.fields, f)
		}
	}
	return nil
}

// newField resolves a field, or returns nil if no valid version has it.
func (m *message) newField(s *structure, spec *fieldSpec) (*field, error) {
	f := &field{name: exported(spec.Name), ignorable: spec.Ignorable, initial: spec.defaultText()}
	f.path = strings.TrimPrefix(s.path+"."+f.name, ".")
	if name := renamed[s.name+"."+f.name]; name != "" {
		f.name = name
	}
	for _, v := range []struct {
		to   *versions
		text string
	}{{&f.versions, spec.Versions}, {&f.nullable, spec.NullableVersions}, {&f.tagged, spec.TaggedVersions}} {
		parsed, err := parseVersions(v.text)
		if err != nil {
			return nil, err
		}
		*v.to = parsed.and(s.versions)
	}
	if f.versions.empty() {
		return nil, nil
	}
	f.nullable, f.tagged = f.nullable.and(f.versions), f.tagged.and(f.versions)
	if err := f.setTag(spec); err != nil {
		return nil, err
	}
	f.classic = spec.FlexibleVersions == "none"
	if err := m.setType(f, spec); err != nil {
		return nil, err
	}
	return f, f.check()
}

func (f *field) setTag(spec *fieldSpec) error {
	switch {
	case f.tagged.empty():
		return nil
	case spec.Tag == nil:
		return fmt.Errorf("has tagged versions, but no tag")
	case f.tagged != f.versions:
		return fmt.Errorf("is tagged in some versions only: not supported")
	}
	f.tag = *spec.Tag
	return nil
}

func (m *message) setType(f *field, spec *fieldSpec) error {
	element, isArray := strings.CutPrefix(spec.Type, "[]")
	switch {
	case sizes[element] > 0:
		f.kind, f.base = fixed, element
	case element == "string":
		f.kind, f.base = text, element
	case element == "bytes" && !isArray:
		f.kind, f.base = blob, element
	case element == "records" && !isArray:
		f.kind, f.base = records, element
	default:
		f.kind = composite
		if err := m.setStruct(f, element, spec.Fields); err != nil {
			return err
		}
	}
	if isArray {
		f.kind = array
		if f.structure != nil {
			f.structure.inArray = true
		}
	}
	return nil
}

func (m *message) setStruct(f *field, name string, fields []*fieldSpec) error {
	if f.structure = m.byName[name]; f.structure != nil {
		if fields != nil {
			return fmt.Errorf("defines struct %s a second time", name)
		}
		return nil
	}
	if fields == nil {
		return fmt.Errorf("type %s is unknown", name)
	}
	s, err := m.declare(name, f.path, "0+", f.versions)
	if err != nil {
		return err
	}
	f.structure = s
	return m.fill(s, fields)
}

// check refuses what the emitted code doesn't handle.
func (f *field) check() error {
	isTagged := !f.tagged.empty()
	switch {
	case f.kind == records && isTagged:
		return fmt.Errorf("tagged records: holes within tagged fields are not supported")
	case f.kind == fixed && !f.nullable.empty():
		return fmt.Errorf("nullable %s: not supported", f.base)
	case f.kind == composite && !f.nullable.empty() && f.initial != "null":
		return fmt.Errorf("nullable struct with a default other than null: not supported")
	case f.classic && (f.kind != text || f.nullable.empty()):
		return fmt.Errorf("only nullable strings can be exempt from flexible versions")
	case f.kind == composite && f.nullable.empty() && (isTagged || !f.ignorable): // a nullable one is compared with nil
		f.structure.compare()
	}
	return nil
}

// compare notes that s, and so every struct in it, is compared with its default.
func (s *structure) compare() {
	s.compared = true
	for _, f := range s.fields {
		if f.kind == composite && f.nullable.empty() {
			f.structure.compare()
		}
	}
}

// least is the smallest encoding of s in a version, in bytes.
func (s *structure) least(version int16, flexible versions) int {
	n := 0
	if flexible.has(version) {
		n++
	}
	for _, f := range s.fields {
		if f.versions.has(version) && f.tagged.empty() {
			n += f.least(version, flexible)
		}
	}
	return n
}

func (f *field) least(version int16, flexible versions) int {
	compact := flexible.has(version) && !f.classic
	switch {
	case f.kind == fixed:
		return sizes[f.base]
	case f.kind == composite && f.nullable.has(version):
		return 1
	case f.kind == composite:
		return f.structure.least(version, flexible)
	case compact:
		return 1
	case f.kind == text:
		return 2
	default:
		return 4
	}
}

// leastElement is the Go expression for the smallest encoding of an element of
// array f in the versions that have it.
func (f *field) leastElement(m *message) string {
	switch {
	case f.structure != nil:
		s := f.structure
		first := s.least(s.versions.lo, m.flexible)
		for v := s.versions.lo; v <= s.versions.hi; v++ {
			if s.least(v, m.flexible) != first {
				return "least" + s.name + "(version)"
			}
		}
		return strconv.Itoa(first)
	case f.base == "string":
		return "r.leastString()"
	default:
		return strconv.Itoa(sizes[f.base])
	}
}

// exported makes a name of Kafka's a Go name: some start in lower case.
func exported(name string) string {
	return strings.ToUpper(name[:1]) + name[1:]
}
