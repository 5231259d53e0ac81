package protocol

import (
	"sync"
	"time"
)

// seldomEvery is the time between two lines about failures of one kind.
const seldomEvery = 10 * time.Second

// seldom keeps clients that try again and again from filling the log with the
// same line: one in seldomEvery is said, the others are counted. What fails for
// good is said by the log that fails as well, once.
type seldom struct {
	mu struct {
		sync.Mutex
		next    time.Time // when something may be said again
		skipped int       // what was not said since
	}
}

// due reports whether it is time for a line, and how many there were not since the
// last one.
func (s *seldom) due() (skipped int, ok bool) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Before(s.mu.next) {
		s.mu.skipped++
		return 0, false
	}
	skipped, s.mu.skipped, s.mu.next = s.mu.skipped, 0, now.Add(seldomEvery)
	return skipped, true
}
