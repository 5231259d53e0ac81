package bench

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

func TestFindMount(t *testing.T) {
	const info = `22 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
30 22 0:26 / /tmp rw,nosuid - tmpfs tmpfs rw
31 22 8:1 / /mnt/disk rw,noatime shared:1 - xfs /dev/sda1 rw,attr2
32 31 8:2 / /mnt/disk ro - ext4 /dev/sda2 ro
broken line
`
	for dir, want := range map[string]mount{
		"/home/x":      {"/", "254:0", "ext4", "rw,relatime,rw,discard"},
		"/tmp":         {"/tmp", "", "tmpfs", "rw,nosuid,rw"},
		"/tmp/x/y":     {"/tmp", "", "tmpfs", "rw,nosuid,rw"},
		"/tmpx":        {"/", "254:0", "ext4", "rw,relatime,rw,discard"},
		"/mnt/disk/pg": {"/mnt/disk", "8:2", "ext4", "ro,ro"}, // mounted over the other
	} {
		if got := findMount(info, dir); got != want {
			t.Errorf("%s lies on %+v, want %+v", dir, got, want)
		}
	}
}

func TestDeviceStat(t *testing.T) {
	got, err := parseDeviceStat("  56183     9499  3741754    15270    37700    71813  6017632    23039        0    10492    40091    12092       51  1489016     1234     8579      546\n")
	if want := (deviceStat{known: true, read: 3741754 * 512, written: 6017632 * 512, flushes: 8579}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if got, err := parseDeviceStat(strings.Repeat("0 ", 17)); err != nil || got.known {
		t.Errorf("a device that counts nothing gives %+v, %v", got, err)
	}
	for _, text := range []string{"", "1 2 3", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 many"} {
		if got, err := parseDeviceStat(text); err == nil || got.known {
			t.Errorf("%q was taken for %+v", text, got)
		}
	}
}

func TestReached(t *testing.T) {
	at := func(written int64) deviceStat { return deviceStat{known: true, written: written} }
	for _, c := range []struct {
		name          string
		before, after deviceStat
		refused       bool
	}{
		{"all of it, and some metadata", at(100), at(1200), false},
		{"nothing", at(100), at(100), true},
		{"a part", at(100), at(1000), true},
		{"nobody knows", deviceStat{}, deviceStat{}, false},
	} {
		if err := reached(c.before, c.after, 1000); errors.Is(err, ErrConditions) != c.refused {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestFigures(t *testing.T) {
	l := newHistogram()
	for range 1000 {
		_ = l.RecordValue(int64(time.Millisecond))
	}
	now := time.Now()
	before := reading{at: now, cpu: time.Second, machine: 10 * time.Second, device: deviceStat{known: true, written: 1000, flushes: 5}}
	after := reading{at: now.Add(2 * time.Second), cpu: 2 * time.Second, machine: 13 * time.Second, device: deviceStat{known: true, written: 2000, flushes: 15}}
	settled := after
	settled.device.written = 1000 + 15_000_000
	f := tally{appends: 1000, elapsed: 2 * time.Second, latency: l}.figures(10_000, before, after, settled, 2)
	for what, v := range map[string][2]float64{
		"MB/s": {f.MBps, 5}, "p99": {f.P99, 1000}, "CPU": {f.CPUSecondsPerGB, 100},
		"flushes": {*f.FlushesPerMB, 1}, "device": {*f.DeviceBytesPerByte, 1.5}, "others": {*f.OthersCPU, 0.5},
	} {
		if math.Abs(v[0]/v[1]-1) > 0.01 {
			t.Errorf("%s is %v, want %v", what, v[0], v[1])
		}
	}
}

func TestShort(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.01234: "0.0123", 1.234: "1.23", 12.34: "12.3", 123.4: "123", 1234.4: "1,234", 1234567: "1,234,567"} {
		if got := short(v); got != want {
			t.Errorf("%v is written %q, want %q", v, got, want)
		}
	}
}

func TestMedian(t *testing.T) {
	for want, v := range map[float64][]float64{2: {3, 1, 2}, 2.5: {4, 1, 3, 2}, 7: {7}} {
		if got := median(v); got != want {
			t.Errorf("the median of %v is %v, want %v", v, got, want)
		}
	}
}
