package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const defaultBroker = "127.0.0.1:9092"

// client is how a command reaches a broker.
type client struct {
	brokers []string
	timeout time.Duration // to find a broker, and for one request
	verbose bool
}

// clientFlags gives cmd the flags of whoever talks to a broker.
func (a *app) clientFlags(cmd *cobra.Command) *client {
	c := &client{}
	brokers := defaultBroker
	for _, name := range []string{"RPK_BROKERS", "BOBBIN_BROKERS"} {
		if v := a.getenv(name); v != "" {
			brokers = v
		}
	}
	cmd.Flags().StringSliceVarP(&c.brokers, "bootstrap-server", "b", strings.Split(brokers, ","), "brokers to ask first, host:port (or BOBBIN_BROKERS)")
	cmd.Flags().DurationVar(&c.timeout, "timeout", 10*time.Second, "how long to wait for a broker, and for an answer")
	cmd.Flags().BoolVarP(&c.verbose, "verbose", "v", false, "tell on stderr what the client does")
	return c
}

// open connects, and fails at once with a clear sentence if no broker answers.
func (c *client) open(ctx context.Context, a *app, opts ...kgo.Opt) (*kgo.Client, error) {
	opts = append([]kgo.Opt{
		kgo.SeedBrokers(c.brokers...),
		kgo.ClientID("bobbin"),
		kgo.SoftwareNameAndVersion("bobbin", softwareVersion(readBuildVersion().Version)),
		kgo.DialTimeout(min(c.timeout, 10*time.Second)),
		kgo.RetryTimeout(c.timeout),
		// A broker that restarts is back soon; the defaults would find it seconds later.
		kgo.RetryBackoffFn(func(tries int) time.Duration {
			return min(20*time.Millisecond<<min(tries, 10), 500*time.Millisecond)
		}),
		kgo.MetadataMinAge(100 * time.Millisecond),
		kgo.DisableClientMetrics(),
	}, opts...)
	if c.verbose {
		opts = append(opts, kgo.WithLogger(kgo.BasicLogger(a.stderr, kgo.LogLevelInfo, nil)))
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, &usageError{err}
	}
	reach, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if err := cl.Ping(reach); err != nil {
		cl.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, c.unreachable(err)
	}
	return cl, nil
}

// softwareVersion is a version as clients may tell it to brokers: letters,
// digits, dots and dashes, not at the ends. "v1.2.3+dirty" is "v1.2.3-dirty".
func softwareVersion(v string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' {
			return r
		}
		return '-'
	}, v), ".-")
}

func (c *client) unreachable(err error) error {
	at := strings.Join(c.brokers, ", ")
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no broker listens at %s: start one with 'bobbin serve', or say with -b where it is", at)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer from %s within %v: is it a Kafka broker?", at, c.timeout)
	default:
		return fmt.Errorf("no broker answered at %s: %w", at, err)
	}
}

// admin opens a client for administration alone. Close the result.
func (c *client) admin(ctx context.Context, a *app) (*kadm.Client, error) {
	cl, err := c.open(ctx, a)
	if err != nil {
		return nil, err
	}
	adm := kadm.NewClient(cl)
	adm.SetTimeoutMillis(int32(min(c.timeout, time.Hour).Milliseconds()))
	return adm, nil
}

// brokerError is a broker's refusal in a sentence: what it said itself, if
// anything, and Kafka's name for it.
func brokerError(err error, said string) error {
	var k *kerr.Error
	if !errors.As(err, &k) {
		return err
	}
	if said == "" {
		said = k.Description
	}
	return fmt.Errorf("%s (%s)", strings.TrimSuffix(said, "."), k.Message)
}

// completeTopics offers the names of the broker's topics to the shell.
func (a *app) completeTopics(c *client) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		c.timeout = min(c.timeout, time.Second)
		adm, err := c.admin(cmd.Context(), a)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer adm.Close()
		topics, err := adm.ListTopics(cmd.Context())
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return topics.Names(), cobra.ShellCompDirectiveNoFileComp
	}
}
