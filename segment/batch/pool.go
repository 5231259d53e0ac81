package batch

import (
	"runtime"
	"sync"
)

// A pool bounds and reuses coders. They are large (zstd keeps its window of up
// to 8 MiB) and of use only while a processor runs them. So no more are at work
// than processors, however many connections bring batches, and idle ones wait
// where the garbage collector can take them.
//
// Nobody holds two coders at once, nor waits for anything else while holding
// one, or the workers could run out for good.
type pool struct {
	workers   chan struct{} // full: as many at work as may be
	inflaters sync.Pool     // *inflater
	deflaters sync.Pool     // *deflater
}

// coders is the process's pool, because what it bounds is the process's memory.
// It is a cache: no result depends on what is in it.
var coders = newPool(runtime.GOMAXPROCS(0))

func newPool(workers int) *pool {
	return &pool{
		workers:   make(chan struct{}, workers),
		inflaters: sync.Pool{New: func() any { return new(inflater) }},
		deflaters: sync.Pool{New: func() any { return new(deflater) }},
	}
}

func (p *pool) inflater() *inflater {
	p.workers <- struct{}{}
	return p.inflaters.Get().(*inflater)
}

func (p *pool) putInflater(f *inflater) {
	p.inflaters.Put(f)
	<-p.workers
}

func (p *pool) deflater() *deflater {
	p.workers <- struct{}{}
	return p.deflaters.Get().(*deflater)
}

func (p *pool) putDeflater(d *deflater) {
	p.deflaters.Put(d)
	<-p.workers
}
