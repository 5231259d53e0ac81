package protocol

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// rawSocket returns the door to a TCP connection's descriptor, or nil for other
// kinds of connections.
func rawSocket(c net.Conn) syscall.RawConn {
	t, ok := c.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// The following are one system call each on a non-blocking descriptor. again
// says that it has to be tried again once the descriptor is ready.

// receive reads into p. At the end of the stream n is 0 and err is nil.
func receive(fd uintptr, p []byte) (n int, again bool, err error) {
	for {
		n, err = unix.Read(int(fd), p)
		if err != unix.EINTR {
			return outcome(n, err)
		}
	}
}

// transmit writes the buffers. more says that other bytes follow at once, so
// that the kernel need not send a short packet.
func transmit(fd uintptr, bufs [][]byte, more bool) (n int, again bool, err error) {
	for {
		switch {
		case len(bufs) == 1 && !more:
			n, err = unix.Write(int(fd), bufs[0])
		case more:
			n, err = unix.SendmsgBuffers(int(fd), bufs, nil, nil, unix.MSG_MORE)
		default:
			n, err = unix.SendmsgBuffers(int(fd), bufs, nil, nil, 0)
		}
		if err != unix.EINTR {
			return outcome(n, err)
		}
	}
}

// transmitFile writes up to n bytes of a file from off on without bringing them
// to user space. The file's own position is neither used nor moved.
func transmitFile(fd, file uintptr, off, n int64) (sent int, again bool, err error) {
	for {
		sent, err = unix.Sendfile(int(fd), int(file), &off, int(min(n, 1<<30)))
		if err != unix.EINTR {
			return outcome(sent, err)
		}
	}
}

func outcome(n int, err error) (int, bool, error) {
	if err == unix.EAGAIN { //nolint:errorlint // an errno is never wrapped
		return 0, true, nil
	}
	return max(n, 0), false, err
}
