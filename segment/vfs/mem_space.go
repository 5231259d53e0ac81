package vfs

import "sync"

// unlimited is the size that a memory file system without a capacity reports.
const unlimited = 1 << 50 / blockSize

// memSpace counts the blocks in use against a capacity.
type memSpace struct {
	mu struct {
		sync.Mutex
		capacity int64 // blocks; may be below used after it was lowered
		used     int64 // blocks
	}
}

func newMemSpace() *memSpace {
	s := new(memSpace)
	s.mu.capacity = unlimited
	return s
}

func (s *memSpace) setCapacity(bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.capacity = unlimited
	if bytes >= 0 {
		s.mu.capacity = bytes / blockSize
	}
}

// take reserves up to want blocks and says how many it got.
func (s *memSpace) take(want int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := max(0, min(want, s.mu.capacity-s.mu.used))
	s.mu.used += got
	return got
}

// takeAll reserves all of want or nothing.
func (s *memSpace) takeAll(want int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if want > 0 && want > s.mu.capacity-s.mu.used {
		return false
	}
	s.mu.used += want
	return true
}

func (s *memSpace) give(blocks int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.used -= blocks
}

func (s *memSpace) usage() Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Usage{
		Size: uint64(s.mu.capacity) * blockSize,
		Free: uint64(max(0, s.mu.capacity-s.mu.used)) * blockSize,
	}
}

// fork returns the account of a clone whose files hold used blocks.
func (s *memSpace) fork(used int64) *memSpace {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := new(memSpace)
	f.mu.capacity, f.mu.used = s.mu.capacity, used
	return f
}
