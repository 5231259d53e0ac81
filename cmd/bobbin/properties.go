package main

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
)

// property is one entry of a properties file.
type property struct {
	key, value string
	line       int // where it begins, from 1
}

// parseProperties reads the format of java.util.Properties, in UTF-8:
//
//	# a comment, as is a line that starts with !
//	key=value          also "key: value" and "key value"
//	long=one, \
//	     two           a backslash at the end goes on, without the next line's indentation
//	escaped\ key=\t\n\r\f\u0041\\
//
// Entries come in their order; a key may come more than once.
func parseProperties(text string) ([]property, error) {
	var list []property
	lines := strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text), "\n")
	for i := 0; i < len(lines); i++ {
		first := i + 1
		line := strings.TrimLeft(lines[i], " \t\f")
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		for goesOn(line) {
			line = line[:len(line)-1]
			if i++; i == len(lines) {
				break
			}
			line += strings.TrimLeft(lines[i], " \t\f")
		}
		key, value := splitProperty(line)
		p := property{line: first}
		var err error
		if p.key, err = unescapeProperty(key); err == nil {
			p.value, err = unescapeProperty(value)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", first, err)
		}
		list = append(list, p)
	}
	return list, nil
}

// goesOn tells whether a line ends in a backslash that is not escaped itself.
func goesOn(line string) bool {
	return (len(line)-len(strings.TrimRight(line, `\`)))%2 == 1
}

// splitProperty cuts at the first =, : or white space that is not escaped.
// White space around the divider belongs to neither side.
func splitProperty(line string) (key, value string) {
	end := len(line)
	for i := 0; i < len(line); i++ {
		if line[i] == '\\' {
			i++
		} else if strings.IndexByte("=: \t\f", line[i]) >= 0 {
			end = i
			break
		}
	}
	value = strings.TrimLeft(line[end:], " \t\f")
	if value != "" && (value[0] == '=' || value[0] == ':') {
		value = strings.TrimLeft(value[1:], " \t\f")
	}
	return line[:end], value
}

func unescapeProperty(s string) (string, error) {
	if strings.IndexByte(s, '\\') < 0 {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if i++; i == len(s) {
			break // a backslash at the end of the file goes on to nothing
		}
		switch s[i] {
		case 't':
			b.WriteByte('\t')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 'f':
			b.WriteByte('\f')
		case 'u':
			r, n, err := unicodeEscape(s[i-1:])
			if err != nil {
				return "", err
			}
			b.WriteRune(r)
			i += n - 2
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), nil
}

// unicodeEscape reads \uXXXX, or two of them that are a surrogate pair, at the
// beginning of s, and how many bytes that took.
func unicodeEscape(s string) (r rune, n int, err error) {
	unit := func(s string) (rune, bool) {
		if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
			return 0, false
		}
		v, err := strconv.ParseUint(s[2:6], 16, 16)
		return rune(v), err == nil
	}
	high, ok := unit(s)
	if !ok {
		return 0, 0, fmt.Errorf("%.6q is not \\u and four hexadecimal digits", s)
	}
	if utf16.IsSurrogate(high) {
		if low, ok := unit(s[6:]); ok {
			if pair := utf16.DecodeRune(high, low); pair != '\uFFFD' {
				return pair, 12, nil
			}
		}
	}
	return high, 6, nil
}
