package engine

import (
	"testing"

	"github.com/bobbin-log/bobbin/segment/vfs"
)

// A part that was closed while somebody opened its files is not on the shelf,
// whoever of the two gets there last: nobody would ever take it off.
func TestShelfTakesNoClosedPart(t *testing.T) {
	s, err := OpenStore(StoreOptions{FS: vfs.NewMem(), Dir: "/data", NodeID: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l, err := s.Create("t-0", LogOptions{Config: DefaultConfig()})
	if err != nil {
		t.Fatal(err)
	}
	p := (*l.view.Load())[0]
	if err := p.acquire(); err != nil {
		t.Fatal(err)
	}
	s.shelf.remove(p) // as it is while acquire has opened the files, and comes to add
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
	s.shelf.add(p)
	p.release()
	if n := len(s.shelf.mu.open); n != 0 {
		t.Errorf("%d parts are on the shelf of a store that has none open", n)
	}
}
