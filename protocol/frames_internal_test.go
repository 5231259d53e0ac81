package protocol

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime"
	"testing"
	"time"
)

// tcpPair is two ends of one TCP connection.
func tcpPair(t testing.TB) (here, there net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if here, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if there, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { here.Close(); there.Close() })
	return here, there
}

// inUse is how many bytes of the budget are handed out, to the nearest KiB.
func (p *buffers) inUse() int64 {
	free := int64(0)
	for step := p.size; step > 0; step /= 2 {
		for p.budget.TryAcquire(step) {
			free += step
		}
	}
	p.budget.Release(free)
	return p.size - free
}

func prefixed(body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// TestFramesIdle: a connection that waits between two requests holds no buffer,
// neither at first nor after a large one.
func TestFramesIdle(t *testing.T) {
	here, there := tcpPair(t)
	pool := newBuffers(1 << 30)
	f := newFrames(there, pool, 100<<20)
	got := make(chan []byte)
	go func() {
		for {
			frame, err := f.next(t.Context())
			if err != nil {
				close(got)
				return
			}
			got <- bytes.Clone(frame)
		}
	}()
	for _, n := range []int{0, 10, 100_000, 5_000_000, 20} {
		if n > 0 {
			body := bytes.Repeat([]byte{byte(n)}, n)
			clear(body[:2]) // it is a Produce, and may be large
			go func() { _, _ = here.Write(prefixed(body)) }()
			if frame := <-got; !bytes.Equal(frame, body) {
				t.Errorf("a frame of %d bytes came as %d others", n, len(frame))
			}
		}
		for pool.inUse() > 0 { // until the reader waits for the next one
			runtime.Gosched()
		}
	}
	here.Close()
	if _, open := <-got; open {
		t.Error("a frame after the end")
	}
}

// TestFramesGrow: a frame's memory grows with the bytes that arrive, whatever
// length was announced.
func TestFramesGrow(t *testing.T) {
	here, there := tcpPair(t)
	pool := newBuffers(1 << 30)
	f := newFrames(there, pool, 100<<20)
	done := make(chan error, 1)
	go func() {
		_, err := f.next(t.Context())
		done <- err
	}()
	_, _ = here.Write([]byte{6, 0, 0, 0}) // 100 MB
	for f.turn.Load() == 0 {              // until the frame's first bytes were read
		runtime.Gosched()
	}
	sent := int64(0)
	for _, n := range []int{1000, 1 << 20, 3 << 20, 10 << 20} {
		_, _ = here.Write(make([]byte, n))
		sent += int64(n)
		for f.moved.Load() < sent-largestBuffer {
			runtime.Gosched()
		}
		if held := pool.inUse(); held > max(largestBuffer, 5*sent)+1024 {
			t.Errorf("%d bytes are held for %d that came", held, sent)
		}
	}
	here.Close()
	if err := <-done; !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a frame that was cut: %v", err)
	}
	if f.release(); pool.inUse() > 0 {
		t.Errorf("%d bytes are still held", pool.inUse())
	}
}

// TestBudget: a connection waits for its share and gets it when another is done.
func TestBudget(t *testing.T) {
	pool := newBuffers(smallestBuffer)
	first := pool.try(1)
	if first == nil || pool.try(1) != nil {
		t.Fatal("the budget isn't what it was made with")
	}
	here, there := tcpPair(t)
	f := newFrames(there, pool, 1000)
	_, _ = here.Write(prefixed([]byte("a request")))
	done := make(chan error, 1)
	go func() {
		_, err := f.next(t.Context())
		done <- err
	}()
	select {
	case err := <-done:
		t.Fatalf("a frame was read without memory: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	pool.give(first)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestBufferClasses(t *testing.T) {
	pool := newBuffers(1 << 30)
	for _, c := range []struct{ want, got int }{
		{0, 68 << 10}, {1, 68 << 10}, {68 << 10, 68 << 10}, {68<<10 + 1, 136 << 10},
		{1<<20 + 200, 1088 << 10}, {2176 << 10, 2176 << 10}, {2176<<10 + 1, 2176<<10 + 1},
	} {
		b := pool.try(c.want)
		if len(b.bytes) != c.got || sizeOf(c.want) != c.got {
			t.Errorf("for %d bytes: a buffer of %d, size %d; want %d", c.want, len(b.bytes), sizeOf(c.want), c.got)
		}
		pool.give(b)
	}
	if pool.inUse() != 0 {
		t.Errorf("%d bytes are out", pool.inUse())
	}
}

// TestFramesShrink: a request that waits keeps its bytes and those behind it, and
// gives its buffer back.
func TestFramesShrink(t *testing.T) {
	here, there := tcpPair(t)
	pool := newBuffers(1 << 30)
	f := newFrames(there, pool, 1000)
	first, second := bytes.Repeat([]byte{1}, 100), bytes.Repeat([]byte{2}, 200)
	_, _ = here.Write(append(prefixed(first), prefixed(second)[:50]...))
	frame, err := f.next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if frame = f.shrink(frame); !bytes.Equal(frame, first) || pool.inUse() != 0 {
		t.Errorf("%d bytes are held for %x", pool.inUse(), frame)
	}
	_, _ = here.Write(prefixed(second)[50:])
	if frame, err = f.next(t.Context()); err != nil || !bytes.Equal(frame, second) {
		t.Errorf("then %x, %v", frame, err)
	}
}

// TestFramesOther: only Produce may be as large as a request can be.
func TestFramesOther(t *testing.T) {
	for key, legal := range map[byte]bool{0: true, 1: false, 3: false} {
		here, there := tcpPair(t)
		f := newFrames(there, newBuffers(1<<30), 100<<20)
		body := make([]byte, otherFrameBytes+1)
		body[1] = key
		go func() { _, _ = here.Write(prefixed(body)) }()
		if _, err := f.next(t.Context()); (err == nil) != legal || err != nil && !errors.Is(err, errFrame) {
			t.Errorf("API key %d: %v", key, err)
		}
	}
}
