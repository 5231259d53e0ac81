package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// frame is a request as it goes over the wire.
func frame(request kmsg.Request, version int16) []byte {
	request.SetVersion(version)
	f := kmsg.NewRequestFormatter(kmsg.FormatterClientID("faults"))
	return f.AppendRequest(nil, request, 7)
}

// framesRun sends what no client should.
func framesRun(ctx context.Context, r *rig) error {
	b, t, err := begun(ctx, r, r.path("data"))
	if err != nil {
		return err
	}
	start := b.status("VmRSS")
	apiVersions := frame(kmsg.NewPtrApiVersionsRequest(), 0)
	for name, bytes := range map[string][]byte{
		"garbage":            bytes.Repeat([]byte{0xfa, 0x13, 0x77}, 5000),
		"an HTTP request":    []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"a TLS hello":        {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10},
		"a length of 2 GiB":  {0x7f, 0xff, 0xff, 0xff, 0, 18, 0, 0, 0, 0, 0, 1},
		"a length of -1":     {0xff, 0xff, 0xff, 0xff, 0, 18, 0, 0, 0, 0, 0, 1},
		"a length of 0":      {0, 0, 0, 0},
		"an unknown API":     {0, 0, 0, 10, 0x7f, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff},
		"an unknown version": {0, 0, 0, 10, 0, 3, 0x7f, 0, 0, 0, 0, 1, 0xff, 0xff},
		"a negative array":   append([]byte{0, 0, 0, 14, 0, 3, 0, 0, 0, 0, 0, 1, 0xff, 0xff}, 0x80, 0, 0, 0),
		"a huge array":       append([]byte{0, 0, 0, 14, 0, 3, 0, 0, 0, 0, 0, 1, 0xff, 0xff}, 0x7f, 0xff, 0xff, 0xff),
	} {
		took, err := b.closes(bytes, 5*time.Second)
		r.check(err == nil, "%s: the connection ended after %v: %v", name, took.Round(time.Millisecond), err)
	}
	for n := 1; n < len(apiVersions); n++ { // cut anywhere, and hung up
		c, err := net.Dial("tcp", b.address)
		if err != nil {
			return err
		}
		_, _ = c.Write(apiVersions[:n]) // the broker may hang up first
		c.Close()
	}
	r.alive(ctx, b, t, "after bad frames")
	r.slow(ctx, b, t)
	r.silent(ctx, b, t)
	r.floods(ctx, b, t)
	r.greedy(ctx, b, t, 20_000)
	r.greedy(ctx, b, t, 130_000) // as many as fit into a request
	r.alive(ctx, b, t, "in the end")
	peak := b.status("VmHWM")
	r.check(peak < 400<<10, "resident memory: %d MiB at the start, %d MiB at the peak, %d MiB in the end", start>>10, peak>>10, b.status("VmRSS")>>10)
	r.check(b.terminate(15*time.Second) && b.exitCode() == 0, "clean stop")
	r.check(b.sane(), "no panic in the broker's log")
	return nil
}

// closes sends bytes and waits for the broker to hang up.
func (b *broker) closes(bytes []byte, limit time.Duration) (time.Duration, error) {
	c, err := net.Dial("tcp", b.address)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	begun := time.Now()
	_, _ = c.Write(bytes) // the broker may hang up first
	_ = c.SetReadDeadline(begun.Add(limit))
	_, err = io.Copy(io.Discard, c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return time.Since(begun), fmt.Errorf("still open")
	}
	return time.Since(begun), nil
}

// alive checks that an honest client is served, and how fast.
func (r *rig) alive(ctx context.Context, b *broker, t *teller, when string) {
	var worst time.Duration
	for range 20 {
		begun := time.Now()
		if _, err := t.produce(ctx, "t", 1, []byte("honest")); err != nil {
			r.check(false, "%s an honest client is told %v", when, err)
			return
		}
		worst = max(worst, time.Since(begun))
	}
	r.check(worst < 2*time.Second && r.holds(ctx, b, 0, 50), "%s an honest client is served within %v", when, worst.Round(time.Millisecond))
}

// slow sends frames byte by byte on many connections, for a while.
func (r *rig) slow(ctx context.Context, b *broker, t *teller) {
	request := kmsg.NewPtrMetadataRequest()
	whole := frame(request, 1)
	binary.BigEndian.PutUint32(whole, 1<<20) // and much more is announced
	var wg sync.WaitGroup
	stop := make(chan struct{})
	before := b.status("VmRSS")
	for range 200 {
		wg.Go(func() {
			c, err := net.Dial("tcp", b.address)
			if err != nil {
				return
			}
			defer c.Close()
			for i := 0; ; i++ {
				if _, err := c.Write([]byte{whole[i%len(whole)]}); err != nil {
					return
				}
				select {
				case <-stop:
					return
				case <-time.After(100 * time.Millisecond):
				}
				if i >= len(whole)-2 {
					i = 12
				}
			}
		})
	}
	time.Sleep(3 * time.Second)
	r.alive(ctx, b, t, "among 200 that send a byte at a time")
	fmt.Printf("        200 slow frames of 1 MiB hold %d KiB\n", b.status("VmRSS")-before)
	close(stop)
	wg.Wait()
}

// silent asks for a lot and never reads the answers.
func (r *rig) silent(ctx context.Context, b *broker, t *teller) {
	request := fetchAll("t", 2, 64)
	whole := frame(request, 4)
	var open []net.Conn
	before := b.status("VmRSS")
	for range 50 {
		c, err := net.Dial("tcp", b.address)
		if err != nil {
			break
		}
		open = append(open, c)
		_ = c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
		for range 2000 {
			if _, err := c.Write(whole); err != nil {
				break
			}
		}
	}
	r.alive(ctx, b, t, "among 50 that never read")
	fmt.Printf("        50 that never read hold %d KiB\n", b.status("VmRSS")-before)
	for _, c := range open {
		c.Close()
	}
}

// fetchAll asks for a partition many times over, with the largest limits there are.
func fetchAll(topic string, partitions int32, times int) *kmsg.FetchRequest {
	request := kmsg.NewPtrFetchRequest()
	request.MaxBytes, request.MinBytes, request.MaxWaitMillis = 1<<31-1, 0, 0
	for range times {
		x := kmsg.NewFetchRequestTopic()
		x.Topic = topic
		for p := range partitions {
			y := kmsg.NewFetchRequestTopicPartition()
			y.Partition, y.PartitionMaxBytes = p, 1<<31-1
			x.Partitions = append(x.Partitions, y)
		}
		request.Topics = append(request.Topics, x)
	}
	return request
}

// floods sends as fast as it can what wants no answer.
func (r *rig) floods(ctx context.Context, b *broker, t *teller) {
	request := kmsg.NewPtrProduceRequest()
	request.Acks = 0
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic = "t"
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = 1, recordBatch(500)
	topic.Partitions = append(topic.Partitions, p)
	request.Topics = append(request.Topics, topic)
	whole := frame(request, 3)
	var wg sync.WaitGroup
	end := time.Now().Add(3 * time.Second)
	for range 8 {
		wg.Go(func() {
			c, err := net.Dial("tcp", b.address)
			if err != nil {
				return
			}
			defer c.Close()
			_ = c.SetWriteDeadline(end)
			for time.Now().Before(end) {
				if _, err := c.Write(whole); err != nil {
					return
				}
			}
		})
	}
	r.alive(ctx, b, t, "in a flood of acks 0")
	wg.Wait()
	fmt.Printf("        after the flood: %d MiB resident, %d MiB at the peak\n", b.status("VmRSS")>>10, b.status("VmHWM")>>10)
}

// greedy asks for very many partitions with the largest limits, over and over, and reads what comes.
func (r *rig) greedy(ctx context.Context, b *broker, t *teller, partitions int32) {
	whole := frame(fetchAll("t", partitions, 1), 4)
	var wg sync.WaitGroup
	end := time.Now().Add(3 * time.Second)
	for range 8 {
		wg.Go(func() {
			c, err := net.Dial("tcp", b.address)
			if err != nil {
				return
			}
			defer c.Close()
			_ = c.SetDeadline(end)
			go func() {
				for time.Now().Before(end) {
					if _, err := c.Write(whole); err != nil {
						return
					}
				}
			}()
			_, _ = io.Copy(io.Discard, c) // until the end
		})
	}
	r.alive(ctx, b, t, fmt.Sprintf("among fetches of %d partitions, %d KiB of request", partitions, len(whole)>>10))
	wg.Wait()
	fmt.Printf("        after the large fetches: %d MiB resident, %d MiB at the peak\n", b.status("VmRSS")>>10, b.status("VmHWM")>>10)
}
