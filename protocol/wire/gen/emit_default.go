package main

import "fmt"

func emitDefault(p *printer, s *structure) {
	p.f("// Default sets every field to its default, keeping the slices' capacity.")
	p.f("func (m *%s) Default() {", s.name)
	for _, f := range s.fields {
		f.emitDefault(p)
	}
	p.f("}\n")
}

// emitDefault prints the assignment of the field's default. A nullable string
// without one is null: Kafka has it empty, but no message is what a server has
// to say where it says nothing.
func (f *field) emitDefault(p *printer) {
	isNullable := !f.nullable.empty()
	switch f.kind {
	case composite:
		if isNullable {
			p.f("m.%s = nil", f.name)
		} else {
			p.f("m.%s.Default()", f.name)
		}
	case array, blob:
		switch {
		case f.initial == "null":
			p.f("m.%s = nil", f.name)
		case isNullable:
			p.f("m.%s = empty(m.%s)", f.name, f.name)
		default:
			p.f("m.%s = m.%s[:0]", f.name, f.name)
		}
	case records:
		p.f("m.%s = Records{}", f.name)
	case text:
		if isNullable && f.initial != "" && f.initial != "null" {
			p.f("m.%s = func(s string) *string { return &s }(%q)", f.name, f.initial)
		} else {
			p.f("m.%s = %s", f.name, f.literal())
		}
	case fixed:
		p.f("m.%s = %s", f.name, f.literal())
	}
}

// literal is the default of a primitive as a Go expression.
func (f *field) literal() string {
	switch {
	case f.kind == text && !f.nullable.empty():
		return "nil"
	case f.kind == text:
		return fmt.Sprintf("%q", f.initial)
	case f.base == "uuid":
		return "UUID{}"
	case f.initial != "":
		return f.initial
	case f.base == "bool":
		return "false"
	default:
		return "0"
	}
}

// differs is the Go expression that tells whether the field has another value
// than its default. It can be joined to others by "and".
func (f *field) differs() string {
	x := "m." + f.name
	isNullable := !f.nullable.empty()
	switch f.kind {
	case composite:
		if isNullable {
			return x + " != nil"
		}
		return "!" + x + ".isDefault()"
	case array, blob:
		switch {
		case f.initial == "null":
			return x + " != nil"
		case isNullable && !f.tagged.empty():
			return fmt.Sprintf("(%s == nil || len(%s) > 0)", x, x)
		default:
			return fmt.Sprintf("len(%s) > 0", x)
		}
	case records:
		return x + ".Size() > 0"
	case text:
		if isNullable && f.initial != "" && f.initial != "null" {
			return fmt.Sprintf("(%s == nil || *%s != %q)", x, x, f.initial)
		}
	case fixed:
		switch {
		case f.base == "uuid":
			return "!" + x + ".IsZero()"
		case f.base == "bool" && f.initial == "true":
			return "!" + x
		case f.base == "bool":
			return x
		}
	}
	return x + " != " + f.literal()
}

func emitIsDefault(p *printer, s *structure) {
	p.f("// isDefault reports whether there is nothing to say.")
	p.f("func (m *%s) isDefault() bool {", s.name)
	for _, f := range s.fields {
		p.f("if %s { return false }", f.differs())
	}
	p.f("return true\n}\n")
}
