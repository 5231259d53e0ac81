package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/protocol"
	"github.com/bobbin-log/bobbin/replication"
	"github.com/bobbin-log/bobbin/segment/vfs"
)

// drainTime is how long a clean stop waits for requests under way.
const drainTime = 10 * time.Second

func (a *app) serveCommand() *cobra.Command {
	var flags serveFlags
	cmd := &cobra.Command{
		Use:   "serve [server.properties]",
		Short: "Run a broker",
		Long: `Run a broker until SIGTERM or SIGINT, which is a clean stop; a second one ends
the process at once.

Nothing needs to be configured: the broker listens on 127.0.0.1:9092 and keeps
its data in ./data. Kafka's own keys are understood, from --override key=value,
the environment (KAFKA_LOG_RETENTION_MS is log.retention.ms) and a file, in this
order; 'bobbin config show --doc' lists them. Several brokers run side by side
when their listeners and directories differ.

An acknowledged record is on the disk, unless --sync says otherwise.`,
		Example: `  bobbin serve
  bobbin serve -d /var/lib/bobbin -l 127.0.0.1:9092 --sync interval
  bobbin serve server.properties --override log.retention.hours=24
  bobbin serve -l 0.0.0.0:9092 --advertise broker.example:9092 --allow-plaintext`,
		Args: cobra.MaximumNArgs(1),
	}
	flags.register(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := flags.settings(a, args)
		if err != nil {
			return err
		}
		c, err := resolveConfig(s)
		if err != nil {
			return err
		}
		return a.serve(cmd.Context(), c, s)
	}
	return cmd
}

// serve runs a broker until ctx is cancelled or the node fails.
func (a *app) serve(ctx context.Context, c *serveConfig, s *settings) error {
	if a.getenv("GOGC") == "" {
		// Record bytes do not live on the heap for long: a small heap costs
		// little work, and the memory is better used by the page cache.
		debug.SetGCPercent(50)
	}
	log := c.logger(a.stderr)
	log.Info("bobbin", "version", readBuildVersion().Version)
	for _, p := range engine.SyncPolicies {
		if p.Name == c.topics.Design.Sync {
			log.Info("sync policy in force", "bobbin.sync", p.Name, "meaning", p.Promise)
		}
	}
	listeners, err := c.listen()
	if err != nil {
		return err
	}
	defer func() {
		for _, l := range listeners {
			l.Close()
		}
	}()
	log.Info("clients connect to", "advertised", c.advertisedText())
	mistakes, ignored := s.remarks()
	for _, r := range mistakes {
		log.Warn(r)
	}
	for _, r := range append(ignored, c.remarks...) {
		log.Info(r)
	}
	fatal := make(chan error, 1)
	node, err := replication.Open(ctx, c.nodeOptions(log, func(err error) { fatal <- err }))
	if err != nil {
		return c.explain(err)
	}
	server := protocol.New(protocol.Options{
		Node: node, Limits: c.limits, AutoCreateTopics: c.autoCreate,
		BrokerConfigs: shownToClients(s), UpdateModes: updateModes(), Logger: log,
	})
	for _, l := range listeners {
		go func() {
			if err := server.Serve(c.sized(l)); !errors.Is(err, protocol.ErrServerClosed) {
				fatal <- err
			}
		}()
	}
	log.Info("ready", "node", node.ID(), "cluster", node.ClusterID(), "data", c.dir, "after_ms", time.Since(a.started).Milliseconds())
	select {
	case <-ctx.Done():
		log.Info("stopping")
		drain, cancel := context.WithTimeout(context.Background(), drainTime)
		defer cancel()
		err = server.Shutdown(drain)
		if errors.Is(err, context.DeadlineExceeded) {
			log.Warn("requests were under way for too long and were cut off", "after", drainTime)
			err = nil
		}
	case err = <-fatal:
		log.Error("the broker cannot go on", "why", err)
		server.Close()
	}
	if err = errors.Join(err, node.Close()); err == nil {
		log.Info("stopped cleanly")
	}
	return err
}

// logger writes to w in the format that was asked for.
func (c *serveConfig) logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.logLevel}
	if c.logFormat == "text" || c.logFormat == "auto" && isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

func (c *serveConfig) nodeOptions(log *slog.Logger, fatal func(error)) replication.Options {
	o := replication.Options{
		FS: vfs.OS{}, Dir: c.dir,
		ClusterID: c.clusterID, NodeID: c.nodeID, Rack: c.rack,
		Defaults:      c.topics,
		NumPartitions: c.numPartitions, DefaultReplication: c.defaultReplication,
		OpenSegments:   c.openSegments,
		RetentionCheck: c.retentionCheck,
		ColdShare:      c.coldShare, CleanerBackoff: c.cleanerBackoff, CleanerBytes: c.cleanerBytes, CleanerBytesPerSecond: c.cleanerRate,
		ScrubBytesPerSecond: c.scrubBytes,
		Logger:              log,
		Fatal:               fatal,
	}
	for _, l := range c.advertised {
		o.Listeners = append(o.Listeners, replication.Endpoint{Name: l.name, Host: l.host, Port: int32(l.port)})
	}
	return o
}

// listen opens the listeners, and fills in the ports that were left to the
// operating system.
func (c *serveConfig) listen() (opened []net.Listener, err error) {
	for i, want := range c.listeners {
		l, err := net.Listen("tcp", want.address())
		if err != nil {
			for _, l := range opened {
				l.Close()
			}
			return nil, c.explainListen(want, err)
		}
		opened = append(opened, l)
		if at, ok := l.Addr().(*net.TCPAddr); ok {
			c.listeners[i].port = at.Port
			if c.advertised[i].port == 0 {
				c.advertised[i].port = at.Port
			}
		}
	}
	return opened, nil
}

func (c *serveConfig) advertisedText() string {
	text := ""
	for i, l := range c.advertised {
		if i > 0 {
			text += ","
		}
		text += l.String()
	}
	return text
}

func (c *serveConfig) explainListen(l listener, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE) && c.dirInUse():
		return fmt.Errorf("another broker has the data directory %s and listens at %s already", c.dir, l.address())
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s is in use by another process: stop it, or listen elsewhere with --listen", l.address())
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("this user may not listen at %s", l.address())
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s is no address of this machine", l.host)
	default:
		return fmt.Errorf("listening at %s: %w", l.address(), err)
	}
}

// dirInUse tells whether another process has locked the data directory.
func (c *serveConfig) dirInUse() bool {
	name := filepath.Join(c.dir, ".lock")
	if _, err := os.Stat(name); err != nil {
		return false
	}
	lock, err := vfs.OS{}.Lock(name)
	if err != nil {
		return errors.Is(err, vfs.ErrLocked)
	}
	lock.Close()
	return false
}

func (c *serveConfig) explain(err error) error {
	if errors.Is(err, vfs.ErrLocked) {
		return fmt.Errorf("the data directory %s is in use by another broker: stop that one, or choose another with --data-dir", c.dir)
	}
	return err
}

// sized applies the sizes of socket buffers to the connections of l.
func (c *serveConfig) sized(l net.Listener) net.Listener {
	if c.sendBufferBytes <= 0 && c.receiveBufferBytes <= 0 {
		return l
	}
	return &sizedListener{l, c.sendBufferBytes, c.receiveBufferBytes}
}

// sizedListener sets the buffer sizes of what it accepts; sizes that are not
// positive are left to the operating system.
type sizedListener struct {
	net.Listener
	sendBytes, receiveBytes int
}

// Accept implements net.Listener.
func (l *sizedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if t, ok := c.(*net.TCPConn); ok && err == nil {
		if l.sendBytes > 0 {
			_ = t.SetWriteBuffer(l.sendBytes) // a hint
		}
		if l.receiveBytes > 0 {
			_ = t.SetReadBuffer(l.receiveBytes) // a hint
		}
	}
	return c, err
}
