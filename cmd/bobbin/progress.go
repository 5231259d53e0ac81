package main

import (
	"fmt"
	"strconv"
	"time"
)

// progressEvery is how often a progress line is drawn anew.
const progressEvery = 250 * time.Millisecond

// progress keeps one line on the terminal up to date with what line returns,
// until stop is called, which removes it. Nothing is drawn when stderr is no
// terminal.
func (a *app) progress(line func() string) (stop func()) {
	if !isTerminal(a.stderr) {
		return func() {}
	}
	quit, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		ticker := time.NewTicker(progressEvery)
		defer ticker.Stop()
		drawn := false
		for {
			select {
			case <-ticker.C:
				fmt.Fprintf(a.stderr, "\r\x1b[K%s", line())
				drawn = true
			case <-quit:
				if drawn {
					fmt.Fprint(a.stderr, "\r\x1b[K")
				}
				return
			}
		}
	}()
	return func() {
		close(quit)
		<-gone
	}
}

// thousands writes 1234567 as 1,234,567.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// megabytes writes a number of bytes in MB (10^6), or in bytes if they are few.
func megabytes(n int64) string {
	if n < 10_000 {
		return thousands(n) + " bytes"
	}
	return fmt.Sprintf("%.2f MB", float64(n)/1e6)
}
