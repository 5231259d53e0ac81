package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/bobbin-log/bobbin/engine"
)

// What a process ends with.
const (
	exitOK      = 0
	exitError   = 1
	exitUsage   = 2
	exitCorrupt = 3
)

// usageError is an error of whoever wrote the command line or the
// configuration.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// errDamaged says that a check found damage, which it has printed already.
var errDamaged = errors.New("stored data is damaged")

// exitCode tells what to end the process with.
func exitCode(err error) int {
	var usage *usageError
	var damage *engine.CorruptError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &damage), errors.Is(err, errDamaged), errors.Is(err, engine.ErrFormat):
		return exitCorrupt
	case errors.As(err, &usage):
		return exitUsage
	default:
		return exitError
	}
}

// message is what people are told about err.
func message(err error) string {
	if errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	return err.Error()
}
