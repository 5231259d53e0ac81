//go:build !linux

package protocol

import (
	"errors"
	"net"
	"syscall"
)

// rawSocket returns nil: outside of Linux every connection is read and written
// through package net, and log bytes are copied.
func rawSocket(net.Conn) syscall.RawConn { return nil }

func receive(uintptr, []byte) (int, bool, error) { return 0, false, errors.ErrUnsupported }

func transmit(uintptr, [][]byte, bool) (int, bool, error) { return 0, false, errors.ErrUnsupported }

func transmitFile(uintptr, uintptr, int64, int64) (int, bool, error) {
	return 0, false, errors.ErrUnsupported
}
