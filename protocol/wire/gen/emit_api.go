package main

import (
	"fmt"
	"slices"
	"strings"
)

// emitAPIs prints the table of all of Kafka's APIs and the constructors of the
// messages that are generated.
func emitAPIs(specs map[string]*messageSpec, kafka string) ([]byte, error) {
	list := requests(specs)
	p := new(printer)
	header(p, kafka)
	p.f("// Keys of Kafka's APIs.\nconst (")
	for _, s := range list {
		p.f("Key%s int16 = %d", apiName(s), *s.APIKey)
	}
	p.f(")\n")
	p.f("// LookupAPI returns what Kafka %s says of an API. It is false if there is none of that key.", kafka)
	p.f("func LookupAPI(key int16) (API, bool) {\nswitch key {")
	for _, s := range list {
		literal, err := apiLiteral(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Name, err)
		}
		p.f("case Key%s: return %s, true", apiName(s), literal)
	}
	p.f("}\nreturn API{}, false\n}\n")
	emitConstructor(p, list, "Request")
	emitConstructor(p, list, "Response")
	return source(p)
}

func apiName(s *messageSpec) string { return strings.TrimSuffix(s.Name, "Request") }

func apiLiteral(s *messageSpec) (string, error) {
	valid, err := parseVersions(s.ValidVersions)
	if err != nil {
		return "", err
	}
	flexible, err := parseVersions(s.FlexibleVersions)
	if err != nil {
		return "", err
	}
	first := int16(-1)
	if !flexible.empty() {
		first = flexible.lo
	}
	stable := valid.hi
	if s.LatestVersionUnstable {
		stable--
	}
	return fmt.Sprintf("API{Key: %d, Name: %q, Min: %d, Max: %d, Latest: %d, FirstFlexible: %d}",
		*s.APIKey, apiName(s), valid.lo, stable, valid.hi, first), nil
}

func emitConstructor(p *printer, list []*messageSpec, suffix string) {
	p.f("// New%s returns the API's %s set to its default, or nil if the codec doesn't have it.",
		suffix, strings.ToLower(suffix))
	p.f("func New%s(key int16) Message {\nvar m Message\nswitch key {", suffix)
	for _, s := range list {
		if slices.Contains(generated, apiName(s)) {
			p.f("case Key%s: m = new(%s%s)", apiName(s), apiName(s), suffix)
		}
	}
	p.f("default: return nil\n}\nm.Default()\nreturn m\n}\n")
}
