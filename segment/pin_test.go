package segment_test

import (
	"errors"
	"testing"

	"github.com/bobbin-log/bobbin/segment"
)

func TestPin(t *testing.T) {
	var pin segment.Pin
	for _, end := range []int64{40, 90, 40} {
		if !pin.Acquire(end) {
			t.Fatal("a new Pin refuses holders")
		}
	}
	pin.Drain(90) // nobody is past it
	pin.Release(90)
	pin.Drain(40)
	if n := pin.Held(); n != 2 {
		t.Errorf("%d holders, want 2", n)
	}
	closed := 0
	failure := errors.New("close failed")
	letGo := func() error { closed++; return failure }
	if err := pin.Close(letGo); err != nil || closed != 0 {
		t.Errorf("Close with holders: %v, closed %d times", err, closed)
	}
	if pin.Acquire(1) {
		t.Error("a closed Pin takes holders")
	}
	pin.Release(40)
	pin.Release(40)
	if err := pin.Close(letGo); !errors.Is(err, segment.ErrClosed) || closed != 1 {
		t.Errorf("second Close: %v, closed %d times", err, closed)
	}
	var unused segment.Pin
	if err := unused.Close(letGo); !errors.Is(err, failure) || closed != 2 {
		t.Errorf("Close without holders: %v, closed %d times", err, closed)
	}
}
