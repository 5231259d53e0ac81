package main

import (
	"testing"

	"github.com/bobbin-log/bobbin/engine"
)

func TestNearest(t *testing.T) {
	for _, c := range []struct{ wrote, meant string }{
		{"log.retentoin.ms", "log.retention.ms"},
		{"log.retention", "log.retention.ms"},
		{"num.partition", "num.partitions"},
		{"listener", "listeners"},
		{"advertised.listener", "advertised.listeners"},
		{"bobin.sync", "bobbin.sync"},
		{"log.segment.byte", "log.segment.bytes"},
		{"spring.datasource.url", ""},
		{"x", ""},
	} {
		if got := engine.Nearest(c.wrote, knownKeys()); got != c.meant {
			t.Errorf("%s: %q, want %q", c.wrote, got, c.meant)
		}
	}
}
