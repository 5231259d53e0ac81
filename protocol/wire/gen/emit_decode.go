package main

import "fmt"

func emitDecode(p *printer, m *message, s *structure) {
	flexible := m.flexible.condition(s.versions)
	p.f("func (m *%s) decode(r *Reader, version int16) {", s.name)
	for _, f := range s.fields {
		if !f.tagged.empty() {
			f.emitDefault(p)
			continue
		}
		p.when(f.versions.condition(s.versions),
			func(p *printer) { f.emitDecode(p, m) },
			f.emitDefault)
	}
	p.when(flexible, func(p *printer) { emitDecodeTags(p, m, s) }, nothing)
	p.f("}\n")
}

// emitDecodeTags prints the loop over the tagged fields, known and not.
func emitDecodeTags(p *printer, m *message, s *structure) {
	var cases printer
	for _, f := range s.fields {
		if f.tagged.empty() {
			continue
		}
		condition := f.tagged.condition(m.flexible.and(s.versions))
		if condition == "true" {
			cases.f("case tag == %d:", f.tag)
		} else {
			cases.f("case tag == %d && %s:", f.tag, condition)
		}
		f.emitDecode(&cases, m)
	}
	if cases.Len() == 0 {
		p.f("r.skipTags(%q)", s.path)
		return
	}
	p.f("for range r.tags(%q) {", s.path)
	p.f("tag, rest := r.tag(%q)", s.path)
	p.f("switch {\n%sdefault: r.skipTag()\n}", cases.String())
	p.f("if !r.endTag(tag, rest, %q) { return }\n}", s.path)
}

// emitDecode prints the reading of a field that is there.
func (f *field) emitDecode(p *printer, m *message) {
	nullable := f.nullable.condition(f.versions)
	switch f.kind {
	case fixed:
		p.f("m.%s = r.%s(%q)", f.name, f.base, f.path)
	case text:
		switch {
		case f.classic:
			p.f("m.%s = r.classicNullableString(%s, %q)", f.name, nullable, f.path)
		case f.nullable.empty():
			p.f("m.%s = r.string(%q)", f.name, f.path)
		default:
			p.f("m.%s = r.nullableString(%s, %q)", f.name, nullable, f.path)
		}
	case blob, records:
		p.f("m.%s = r.%s(%s, %q)", f.name, f.base, nullable, f.path)
	case composite:
		if f.nullable.empty() {
			p.f("m.%s.decode(r, version)", f.name)
			return
		}
		p.f("if r.present(%s, %q) {", nullable, f.path)
		p.f("if m.%s == nil { m.%s = new(%s) }", f.name, f.name, f.structure.name)
		p.f("m.%s.decode(r, version)", f.name)
		p.f("} else { m.%s = nil }", f.name)
	case array:
		p.f("m.%s = array(r, m.%s, %s, %s, %q)", f.name, f.name, f.leastElement(m), nullable, f.path)
		p.f("for i := range m.%s {\n%s\n}", f.name, f.decodeElement())
	}
}

// decodeElement reads element i. Elements of fixed size can't fail: the length
// was held against the bytes that are left.
func (f *field) decodeElement() string {
	switch {
	case f.structure != nil:
		return fmt.Sprintf("if m.%s[i].decode(r, version); r.err != nil { return }", f.name)
	case f.base == "string":
		return fmt.Sprintf("if m.%s[i] = r.string(%q); r.err != nil { return }", f.name, f.path)
	default:
		return fmt.Sprintf("m.%s[i] = r.%s(%q)", f.name, f.base, f.path)
	}
}
