package main

import (
	"cmp"
	"fmt"
	"slices"
)

func emitEncode(p *printer, m *message, s *structure) {
	p.f("func (m *%s) encode(w *Writer, version int16) {", s.name)
	for _, f := range s.fields {
		if f.tagged.empty() {
			p.when(f.versions.condition(s.versions), f.emitEncode, nothing)
		}
		if absent := f.versions.outside(s.versions); absent != "false" && !f.ignorable {
			p.f("if %s && %s { w.absent(%q, version) }", absent, f.differs(), f.path)
		}
	}
	p.when(m.flexible.condition(s.versions), func(p *printer) { emitEncodeTags(p, m, s) }, nothing)
	p.f("}\n")
}

// emitEncodeTags prints the writing of the tagged fields that differ from their
// default, in the order of their tags.
func emitEncodeTags(p *printer, m *message, s *structure) {
	tagged := slices.DeleteFunc(slices.Clone(s.fields), func(f *field) bool { return f.tagged.empty() })
	slices.SortFunc(tagged, func(a, b *field) int { return cmp.Compare(a.tag, b.tag) })
	if len(tagged) == 0 {
		p.f("w.uvarint(0)")
		return
	}
	set := make([]string, len(tagged))
	p.f("tags := uint32(0)")
	for i, f := range tagged {
		set[i] = f.differs()
		if c := f.tagged.condition(m.flexible.and(s.versions)); c != "true" {
			set[i] = c + " && " + set[i]
		}
		p.f("if %s { tags++ }", set[i])
	}
	p.f("w.uvarint(tags)")
	for i, f := range tagged {
		p.f("if %s {\nstart := w.beginTag(%d)", set[i], f.tag)
		f.emitEncode(p)
		p.f("w.endTag(start)\n}")
	}
}

// emitEncode prints the writing of a field that the version has.
func (f *field) emitEncode(p *printer) {
	nullable := f.nullable.condition(f.versions)
	switch f.kind {
	case fixed:
		p.f("w.%s(m.%s)", f.base, f.name)
	case text:
		switch {
		case f.classic:
			p.f("w.classicNullableString(m.%s, %s, %q)", f.name, nullable, f.path)
		case f.nullable.empty():
			p.f("w.string(m.%s, %q)", f.name, f.path)
		default:
			p.f("w.nullableString(m.%s, %s, %q)", f.name, nullable, f.path)
		}
	case blob, records:
		p.f("w.%s(m.%s, %s, %q)", f.base, f.name, nullable, f.path)
	case composite:
		if f.nullable.empty() {
			p.f("m.%s.encode(w, version)", f.name)
			return
		}
		p.f("w.present(m.%s != nil, %s, %q)", f.name, nullable, f.path)
		p.f("if m.%s != nil { m.%s.encode(w, version) }", f.name, f.name)
	case array:
		p.f("arrayLength(w, m.%s, %s, %q)", f.name, nullable, f.path)
		p.f("for i := range m.%s {\n%s\n}", f.name, f.encodeElement())
	}
}

func (f *field) encodeElement() string {
	switch {
	case f.structure != nil:
		return fmt.Sprintf("m.%s[i].encode(w, version)", f.name)
	case f.base == "string":
		return fmt.Sprintf("w.string(m.%s[i], %q)", f.name, f.path)
	default:
		return fmt.Sprintf("w.%s(m.%s[i])", f.base, f.name)
	}
}
