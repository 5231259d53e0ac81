// Command bobbin is a Kafka-wire event log in one binary: the broker, and the
// tools to use it and to look at what it stores.
//
// Exit codes: 0 all went well, 1 something failed, 2 the command line or the
// configuration was wrong, 3 stored data is damaged or foreign.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	started := time.Now()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// Once the first signal has begun a clean stop, the second one ends the
	// process at once, as if nobody had listened.
	context.AfterFunc(ctx, stop)
	a := &app{
		started: started,
		environ: os.Environ(),
		stdin:   os.Stdin,
		stdout:  os.Stdout,
		stderr:  os.Stderr,
	}
	os.Exit(a.run(ctx, os.Args[1:]))
}
