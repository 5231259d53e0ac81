package replication

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/replication/quorum"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// fillDisk bounds the disk to room more bytes and produces until it is full.
func fillDisk(t *testing.T, n *Node, disk *vfs.Mem, topic string, room uint64) (values []string) {
	t.Helper()
	u, err := disk.Usage("/data")
	if err != nil {
		t.Fatal(err)
	}
	disk.SetCapacity(int64(u.Size - u.Free + room))
	p, err := n.Partition(topic, 0)
	if err != nil {
		t.Fatal(err)
	}
	for size := 5000; size > 0; {
		v := strings.Repeat("v", size)
		pending, err := p.Append(set(t, v), quorum.All, AnyEpoch)
		if err == nil {
			err = pending.Wait(t.Context())
		}
		switch {
		case errors.Is(err, engine.ErrNoSpace):
			size /= 2
		case err != nil:
			t.Fatal(err)
		default:
			values = append(values, v)
		}
	}
	return values
}

// A broker starts on a disk that its producers have filled, again and again,
// after a kill as after a stop. It serves what it has; deleting a topic makes
// room, and all goes on without another start.
func TestStartOnFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.NewMem()
		n := openNode(t, disk)
		create(t, n, "ballast", 1)
		create(t, n, "t", 1)
		for range 40 {
			produce(t, n, "ballast", 0, strings.Repeat("b", 5000))
		}
		want := fillDisk(t, n, disk, "t", 100<<10)
		for start := range 20 {
			if start%3 == 2 {
				if err := n.Close(); err != nil {
					t.Fatalf("stop on a full disk: %v", err)
				}
			} else {
				killed := disk.Kill()
				_ = n.Close() // of the process that was killed: it changes nothing that counts
				disk = killed
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			var err error
			if n, err = Open(ctx, testOptions(t, disk)); err != nil {
				t.Fatalf("start %d on a full disk: %v", start, err)
			}
			cancel()
			if got := consume(t, n, "t", 0); !slices.Equal(got, want) {
				t.Fatalf("start %d on a full disk: %d records are there, want %d", start, len(got), len(want))
			}
			want = append(want, fillDisk(t, n, disk, "t", 0)...)
		}
		rs, err := n.DeleteTopics(t.Context(), []TopicRef{{Name: "ballast"}})
		if err != nil || rs[0].Err != nil {
			t.Fatalf("delete a topic on a full disk: %v, %v", err, rs)
		}
		synctest.Wait()
		produce(t, n, "t", 0, "room")
		create(t, n, "new", 1)
		produce(t, n, "new", 0, "room")
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// A partition that found no room at the start can be used once there is some.
func TestPartitionFindsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.NewMem()
		n := openNode(t, disk)
		create(t, n, "t", 1)
		create(t, n, "new", 2)
		killed := disk.Kill()
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		disk = killed
		if err := disk.RemoveAll("/data/new-1"); err != nil {
			t.Fatal(err)
		}
		u, err := disk.Usage("/data")
		if err != nil {
			t.Fatal(err)
		}
		disk.SetCapacity(int64(u.Size - u.Free))
		n = openNode(t, disk)
		if _, err := n.Partition("new", 1); !errors.Is(err, ErrOffline) {
			t.Fatalf("on a full disk: %v; want it to be offline", err)
		}
		disk.SetCapacity(-1)
		time.Sleep(2 * roomCheck) // the bubble's time
		synctest.Wait()
		produce(t, n, "new", 1, "v")
		produce(t, n, "new", 0, "v")
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
