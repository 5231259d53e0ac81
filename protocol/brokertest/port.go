package brokertest

import (
	"net"
	"strconv"
	"syscall"
	"testing"
)

// HoldPort returns an address of the loopback interface, such as
// "127.0.0.1:40123", that a broker can listen at again and again until the test
// ends: while it is down nobody else gets the port, and who connects is refused.
//
// A port that is merely free may be taken in the meantime by anybody's outgoing
// connection. This one is bound, by a socket that never listens; the kernel lets
// another one listen there beside it, because both allow the address to be
// reused, as Go's listeners do.
func HoldPort(t testing.TB) string {
	t.Helper()
	syscall.ForkLock.RLock() // or a child that is being made would hold it as well
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatalf("holding a port: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	port, err := bindAny(fd)
	if err != nil {
		t.Fatalf("holding a port: %v", err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// bindAny binds a socket to a free port of the loopback interface.
func bindAny(fd int) (port int, err error) {
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return 0, err
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, err
	}
	at, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	return at.(*syscall.SockaddrInet4).Port, nil
}
