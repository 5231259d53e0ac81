// Package fuzz holds tests that drive the packages below with programs and bytes
// that nobody thought of. It has no code of its own: see FuzzLog, FuzzRecover and
// FuzzOpen.
package fuzz
