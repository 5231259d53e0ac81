package batch_test

import (
	"testing"

	"github.com/bobbin-log/bobbin/segment/batch"
)

func TestGap(t *testing.T) {
	b := batch.Gap(40, 80, 7)
	if err := b.Check(); err != nil {
		t.Fatal(err)
	}
	if b.BaseOffset() != 40 || b.NextOffset() != 80 || b.Count() != 0 || b.LeaderEpoch() != 7 || b.MaxTimestamp() != batch.NoTimestamp || len(b) != batch.HeaderSize {
		t.Errorf("offsets %d to %d, %d records, epoch %d, time %d, %d bytes", b.BaseOffset(), b.LastOffset(), b.Count(), b.LeaderEpoch(), b.MaxTimestamp(), len(b))
	}
	for r, err := range b.Records(0) {
		t.Errorf("it has %+v, %v", r, err)
	}
}
