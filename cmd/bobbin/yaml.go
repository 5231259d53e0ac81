package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// writeYAML writes what v's JSON says as block-style YAML. Strings keep JSON's
// quotes, which YAML reads as they are, so nothing needs to be guessed.
func writeYAML(w io.Writer, v any) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	d := json.NewDecoder(&text)
	d.UseNumber()
	var out strings.Builder
	if err := yamlValue(&out, d, 0, true); err != nil {
		return err
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// yamlValue copies one value. The cursor stands behind "key:" or "-", or at the
// start of a line if top is set.
func yamlValue(out *strings.Builder, d *json.Decoder, indent int, top bool) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	open, nested := t.(json.Delim)
	if !nested {
		return yamlScalar(out, t, top)
	}
	if !d.More() {
		if !top {
			out.WriteByte(' ')
		}
		out.WriteString(map[json.Delim]string{'{': "{}\n", '[': "[]\n"}[open])
		_, err = d.Token()
		return err
	}
	if !top {
		out.WriteByte('\n')
	}
	for d.More() {
		out.WriteString(strings.Repeat("  ", indent))
		if open == '[' {
			out.WriteByte('-')
		} else {
			key, err := d.Token()
			if err != nil {
				return err
			}
			name, err := json.Marshal(key)
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "%s:", name)
		}
		if err := yamlValue(out, d, indent+1, false); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

func yamlScalar(out *strings.Builder, t json.Token, top bool) error {
	if !top {
		out.WriteByte(' ')
	}
	text := "null"
	if t != nil {
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		return e.Encode(t)
	}
	out.WriteString(text + "\n")
	return nil
}
