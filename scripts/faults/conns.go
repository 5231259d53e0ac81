package main

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// connsRun opens many connections.
func connsRun(ctx context.Context, r *rig) error {
	b, t, err := begun(ctx, r, r.path("data"))
	if err != nil {
		return err
	}
	const idle = 5000
	before := b.status("VmRSS")
	var open []net.Conn
	for range idle {
		c, err := b.hello()
		if err != nil {
			return fmt.Errorf("connection %d: %w", len(open), err)
		}
		open = append(open, c)
	}
	after := b.status("VmRSS")
	r.check(after-before < idle*40, "%d idle connections that said hello: %.1f MiB per 1,000 (%d MiB resident)", idle, float64(after-before)/1024/idle*1000, after>>10)
	r.alive(ctx, b, t, "among idle connections")
	for _, c := range open {
		c.Close()
	}
	var served, failed atomic.Int64
	end := time.Now().Add(3 * time.Second)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for time.Now().Before(end) {
				c, err := b.hello()
				if err != nil {
					failed.Add(1)
					continue
				}
				served.Add(1)
				_ = c.(*net.TCPConn).SetLinger(0) // no port is left waiting
				c.Close()
			}
		})
	}
	r.alive(ctx, b, t, "in a storm of connections")
	wg.Wait()
	r.check(failed.Load() == 0, "storm: %d connections served in 3 s, %d failed", served.Load(), failed.Load())
	r.check(b.terminate(15*time.Second) && b.exitCode() == 0, "clean stop")
	r.check(b.sane(), "no panic in the broker's log")
	return r.fewDescriptors(ctx)
}

// hello opens a connection and has one request answered.
func (b *broker) hello() (net.Conn, error) {
	c, err := net.DialTimeout("tcp", b.address, 5*time.Second)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err = c.Write(frame(kmsg.NewPtrApiVersionsRequest(), 0)); err == nil {
		_, err = c.Read(make([]byte, 4096))
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	_ = c.SetDeadline(time.Time{})
	return c, nil
}

// fewDescriptors has more clients than descriptors.
func (r *rig) fewDescriptors(ctx context.Context) error {
	b, err := newBroker(r, r.path("few"))
	if err != nil {
		return err
	}
	b.prefix = []string{"bash", "-c", `ulimit -n 256; exec "$@"`, "-"}
	if err := b.start(); err != nil {
		return err
	}
	if err := createTopic(ctx, b.address, "t", 2, nil); err != nil {
		return err
	}
	t, err := newTeller(b.address)
	if err != nil {
		return err
	}
	r.later(t.close)
	for i := range 50 {
		if _, err := t.produce(ctx, "t", 0, mark{0, uint64(i)}.value()); err != nil {
			return err
		}
		if _, err := t.produce(ctx, "t", 1, []byte("x")); err != nil {
			return err
		}
	}
	var open []net.Conn
	for range 600 {
		c, err := net.DialTimeout("tcp", b.address, time.Second)
		if err != nil {
			break
		}
		open = append(open, c)
	}
	time.Sleep(500 * time.Millisecond)
	var worst time.Duration
	err = nil
	for i := 0; i < 20 && err == nil; i++ {
		begun := time.Now()
		_, err = t.produce(ctx, "t", 1, []byte("here before"))
		worst = max(worst, time.Since(begun))
	}
	r.check(err == nil, "%d connections for 256 descriptors: who was there before is served within %v: %v", len(open), worst.Round(time.Millisecond), err)
	_, err = t.admin.CreateTopic(ctx, 3, 1, nil, "new")
	fmt.Printf("        a topic made meanwhile: %v\n", err)
	for _, c := range open {
		c.Close()
	}
	begun := time.Now()
	for time.Since(begun) < 10*time.Second {
		var c net.Conn
		if c, err = b.hello(); err == nil {
			c.Close()
			break
		}
	}
	r.check(err == nil, "once they are gone a new one is served after %v: %v", time.Since(begun).Round(time.Millisecond), err)
	r.alive(ctx, b, t, "after that")
	r.check(b.terminate(15*time.Second) && b.exitCode() == 0 && b.cleanMarker(), "clean stop: %s", b.lastLine())
	r.check(b.sane(), "no panic in the broker's log")
	return nil
}
