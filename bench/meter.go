package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Meter reads what a run costs from the operating system: processor time from
// getrusage, and what happened at the device from its stat file below
// /sys/dev/block. That file speaks for the whole device, so the figures mean
// something on a machine that does nothing else; /proc/self/io would speak of
// this process alone, but counts a page when it gets dirty, not when it is
// written, and knows neither the file system's journal nor flushes.
type Meter struct {
	device string // its stat file; empty if there is none
	jiffy  time.Duration
}

// reading is the state of all counters at one moment.
type reading struct {
	at      time.Time
	cpu     time.Duration // of this process
	machine time.Duration // busy time of all processors, 0 if unknown
	device  deviceStat
}

// deviceStat is what is needed of a device's stat file.
//
//	field (from 1)   3             7             16 (since Linux 5.5)
//	                 sectors read  sectors written  flushes
type deviceStat struct {
	known   bool
	read    int64 // bytes
	written int64 // bytes
	flushes int64
}

const (
	fieldRead    = 2 // counted from 0
	fieldWritten = 6
	fieldFlushes = 15
	sectorBytes  = 512
)

// newMeter looks for the device below a mount.
func newMeter(m mount) *Meter {
	p := &Meter{jiffy: 10 * time.Millisecond} // USER_HZ is 100 wherever Linux runs Go
	if m.device == "" {
		return p
	}
	// A link, so that .. of it is another folder than .. of what it points at.
	dir, err := filepath.EvalSymlinks("/sys/dev/block/" + m.device)
	if err != nil {
		return p
	}
	if fileExists(filepath.Join(dir, "partition")) {
		dir = filepath.Dir(dir) // flushes are counted for the whole disk
	}
	if stat := filepath.Join(dir, "stat"); fileExists(stat) {
		p.device = stat
	}
	return p
}

func fileExists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

func (p *Meter) read() reading {
	r := reading{at: time.Now(), cpu: processorTime(), machine: p.busy()}
	if p.device != "" {
		if text, err := os.ReadFile(p.device); err == nil {
			r.device, _ = parseDeviceStat(string(text))
		}
	}
	return r
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// busy adds up what /proc/stat counts as work in its first line:
//
//	cpu  user nice system idle iowait irq softirq steal …
func (p *Meter) busy() time.Duration {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(text), "\n")
	f := strings.Fields(line)
	var ticks int64
	for _, i := range []int{1, 2, 3, 6, 7} {
		if i >= len(f) {
			return 0
		}
		n, err := strconv.ParseInt(f[i], 10, 64)
		if err != nil {
			return 0
		}
		ticks += n
	}
	return time.Duration(ticks) * p.jiffy
}

func parseDeviceStat(text string) (deviceStat, error) {
	f := strings.Fields(text)
	if len(f) <= fieldFlushes {
		return deviceStat{}, fmt.Errorf("the device's stat file has %d fields, and flushes would be in number %d", len(f), fieldFlushes+1)
	}
	var n [fieldFlushes + 1]int64
	for i := range n {
		var err error
		if n[i], err = strconv.ParseInt(f[i], 10, 64); err != nil {
			return deviceStat{}, fmt.Errorf("field %d of the device's stat file: %w", i+1, err)
		}
	}
	return deviceStat{
		known: n != [len(n)]int64{}, // a device may count nothing (queue/iostats)
		read:  n[fieldRead] * sectorBytes, written: n[fieldWritten] * sectorBytes, flushes: n[fieldFlushes],
	}, nil
}

// figures are what happened between before and after, with all that was
// written until settled.
func (t tally) figures(batchBytes int, before, after, settled reading, processors int) Figures {
	bytes := t.appends * int64(batchBytes)
	us := func(q float64) float64 { return float64(t.latency.ValueAtQuantile(q)) / 1e3 }
	f := Figures{
		Appends: t.appends, Bytes: bytes, Seconds: t.elapsed.Seconds(),
		P50: us(50), P99: us(99), P999: us(99.9), Max: float64(t.latency.Max()) / 1e3,
	}
	if bytes == 0 {
		return f
	}
	f.MBps = float64(bytes) / 1e6 / f.Seconds
	f.CPUSecondsPerGB = (after.cpu - before.cpu).Seconds() / (float64(bytes) / 1e9)
	if before.device.known && settled.device.known {
		flushes := float64(after.device.flushes-before.device.flushes) / (float64(bytes) / 1e6)
		written := float64(settled.device.written-before.device.written) / float64(bytes)
		f.FlushesPerMB, f.DeviceBytesPerByte = &flushes, &written
	}
	if wall := after.at.Sub(before.at) * time.Duration(processors); before.machine > 0 && wall > 0 {
		others := after.machine - before.machine - (after.cpu - before.cpu)
		share := max(0, float64(others)/float64(wall))
		f.OthersCPU = &share
	}
	return f
}
