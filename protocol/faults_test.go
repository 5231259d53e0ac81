package protocol_test

import (
	"bytes"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/bobbin-log/bobbin/protocol/brokertest"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// TestFullDisk: a full disk refuses writes with an error that producers retry,
// serves reads, and heals by itself.
func TestFullDisk(t *testing.T) {
	var disk *vfs.Mem
	b := brokertest.Start(t, brokertest.InMemory(), brokertest.WrapFS(func(fs vfs.FS) vfs.FS {
		disk = fs.(*vfs.Mem)
		return fs
	}))
	b.CreateTopic("t", 1)
	c := dial(t, b)
	large := records(strings.Repeat("x", 100_000))
	mustProduce(c, "t", large)
	disk.SetCapacity(0)
	refused := func() bool {
		p := produced(ask[*kmsg.ProduceResponse](c, produceRequest("t", [16]byte{}, 0, -1, large), 9))
		return p.ErrorCode == kerr.KafkaStorageError.Code && p.BaseOffset == -1
	}
	// What was reserved before may still be written.
	for i := 0; !refused(); i++ {
		if i == 100 {
			t.Fatal("the disk is never full")
		}
	}
	if !refused() {
		t.Error("a second time it isn't refused")
	}
	p := fetched(ask[*kmsg.FetchResponse](c, fetchRequest("t", [16]byte{}, 0, 0), 12))
	if p.ErrorCode != 0 || !bytes.Contains(p.RecordBatches, []byte("xxx")) {
		t.Errorf("reading from the full disk: code %d", p.ErrorCode)
	}
	a := ask[*kmsg.CreateTopicsResponse](c, createRequest(creatable("u", 1, 1)), 7)
	if a.Topics[0].ErrorCode == 0 {
		t.Error("a topic was made on the full disk")
	}
	disk.SetCapacity(-1)
	if base := mustProduce(c, "t", large); base != p.HighWatermark {
		t.Errorf("with room again: offset %d, want %d", base, p.HighWatermark)
	}
	a = ask[*kmsg.CreateTopicsResponse](c, createRequest(creatable("v", 1, 1)), 7)
	if a.Topics[0].ErrorCode != 0 {
		t.Errorf("a topic with room again: %v", kerr.ErrorForCode(a.Topics[0].ErrorCode))
	}
}

// TestSyncError: after a failed sync nothing more of that log is acknowledged,
// and nothing is shown to consumers that wasn't before; other logs go on.
func TestSyncError(t *testing.T) {
	var broken atomic.Bool
	b := brokertest.Start(t, brokertest.InMemory(), brokertest.WrapFS(func(fs vfs.FS) vfs.FS {
		return vfs.NewInject(fs, func(op vfs.Op) error {
			if broken.Load() && op.Kind == vfs.OpSync && strings.Contains(op.Path, "t-0") {
				return errors.New("the disk is broken")
			}
			return nil
		})
	}))
	b.CreateTopic("t", 1)
	b.CreateTopic("u", 1)
	c := dial(t, b)
	mustProduce(c, "t", records("good"))
	broken.Store(true)
	for range 3 {
		p := produced(ask[*kmsg.ProduceResponse](c, produceRequest("t", [16]byte{}, 0, -1, records("bad")), 9))
		if p.ErrorCode != kerr.KafkaStorageError.Code || p.BaseOffset != -1 {
			t.Errorf("%v at %d", kerr.ErrorForCode(p.ErrorCode), p.BaseOffset)
		}
		broken.Store(false) // that the disk is well again changes nothing
	}
	p := fetched(ask[*kmsg.FetchResponse](c, fetchRequest("t", [16]byte{}, 0, 0), 12))
	if p.ErrorCode != 0 || p.HighWatermark != 1 || bytes.Contains(p.RecordBatches, []byte("bad")) {
		t.Errorf("code %d, high watermark %d", p.ErrorCode, p.HighWatermark)
	}
	mustProduce(c, "u", records("fine"))
}

// TestDamage: damaged bytes are never served as if they were good.
func TestDamage(t *testing.T) {
	var disk *vfs.Mem
	b := brokertest.Start(t, brokertest.InMemory(), brokertest.WrapFS(func(fs vfs.FS) vfs.FS {
		disk = fs.(*vfs.Mem)
		return fs
	}))
	b.CreateTopic("t", 1)
	c := dial(t, b)
	for range 3 {
		mustProduce(c, "t", records("a record"))
	}
	f, err := disk.Open("data/t-0/00000000000000000000.log")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// The length of the second batch.
	if _, err := f.WriteAt([][]byte{{0xff, 0xff, 0xff}}, int64(len(records("a record")))+8); err != nil {
		t.Fatal(err)
	}
	p := fetched(ask[*kmsg.FetchResponse](c, fetchRequest("t", [16]byte{}, 0, 1), 12))
	if p.ErrorCode != kerr.CorruptMessage.Code || len(p.RecordBatches) > 0 {
		t.Errorf("%v, %d bytes", kerr.ErrorForCode(p.ErrorCode), len(p.RecordBatches))
	}
}
