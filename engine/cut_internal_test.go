package engine

import (
	"strings"
	"testing"

	"github.com/bobbin-log/bobbin/segment/batch"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// A reader that begins in the middle of a cut may have found a part before it went,
// and look into it when its bytes are others: it learns that the log was cut.
func TestCutShowsToWhoBeganInIt(t *testing.T) {
	for name, cut := range map[string]func(*Log) error{
		"truncate": func(l *Log) error { return l.Truncate(1) },
		"reset":    func(l *Log) error { return l.Reset(5) },
	} {
		t.Run(name, func(t *testing.T) {
			reached, goOn := make(chan struct{}), make(chan struct{})
			disk := vfs.NewInject(vfs.NewMem(), vfs.Rules(vfs.Rule{Kinds: []vfs.Kind{vfs.OpTruncate}, Path: "*.log", Times: 1, Wait: func(vfs.Op) {
				close(reached)
				<-goOn
			}}))
			s, err := OpenStore(StoreOptions{FS: disk, Dir: "/data", NodeID: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			l, err := s.Create("t-0", LogOptions{Config: DefaultConfig()})
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				set, err := batch.Parse(batch.Of(batch.Record{Value: []byte(strings.Repeat("x", 100))}).Bytes())
				if err == nil {
					_, err = l.Append(set, 0)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			before := l.generation.Load()
			done := make(chan error)
			go func() { done <- cut(l) }()
			<-reached
			within := l.generation.Load()
			close(goOn)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if after := l.generation.Load(); within == before || after == within {
				t.Errorf("generation is %d before the cut, %d within and %d after it, want three", before, within, after)
			}
		})
	}
}
