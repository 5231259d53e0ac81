package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// consumeOptions are consume's flags.
type consumeOptions struct {
	names      topicNames
	offset     string
	partitions []int32
	count      int64
	format     string
	exitAtEnd  bool
	committed  bool
}

func (a *app) consumeCommand() *cobra.Command {
	var o consumeOptions
	cmd := &cobra.Command{
		Use:   "consume TOPIC...",
		Short: "Read records",
		Long: `Read records of topics and print them, from the end on unless --offset says
where to begin. (Elsewhere that is often -o; here -o is the output format of
every command, so offsets have -O.)

--offset is FROM, FROM:UNTIL or :UNTIL, each of
  start, end      the first record there is; the end as it is now
  1234            an offset
  +10, -10        so many after the start; so many before the end
  @TIME           the first record not older than TIME: milliseconds or seconds
                  since 1970, 2006-01-02, 2006-01-02T15:04:05Z, or so long ago
                  as in @-1h30m
With an UNTIL (not included), and with --exit-at-end, the command ends there.

-f prints in the language of rpk (see franz-go's kgo.NewRecordFormatter): %k
key, %v value, %h{%k=%v } headers, %t topic, %p partition, %o offset, %d
timestamp, %v{hex}, \n newline, and so on. With -o json every record is one
line; keys and values that are not UTF-8 are in key_base64 and value_base64.`,
		Example: `  bobbin consume orders -O start --exit-at-end
  bobbin consume orders -O -10 -f '%p %o %k=%v\n'
  bobbin consume orders clicks -O @-1h:@-30m -o json
  bobbin consume orders -O start -n 1 --partitions 2`,
	}
	o.names.flags(cmd)
	f := cmd.Flags()
	f.StringVarP(&o.offset, "offset", "O", "end", "where to begin, and where to end")
	f.Int32SliceVarP(&o.partitions, "partitions", "p", nil, "read only these partitions")
	f.Int64VarP(&o.count, "count", "n", 0, "end after so many records (0: no bound)")
	f.StringVarP(&o.format, "format", "f", `%v\n`, "how a record is printed")
	f.BoolVarP(&o.exitAtEnd, "exit-at-end", "e", false, "end when everything that is there now has been read")
	f.BoolVar(&o.committed, "read-committed", false, "leave out records of transactions that are open or were aborted")
	c := a.clientFlags(cmd)
	cmd.ValidArgsFunction = a.completeTopics(c)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		topics, err := o.names.required(args)
		if err != nil {
			return err
		}
		if a.format == formatYAML {
			return usagef("records are printed as -o json or by a --format, not as yaml")
		}
		if a.format == formatJSON && cmd.Flags().Changed("format") {
			return usagef("--format and -o json exclude each other")
		}
		return a.consume(cmd.Context(), c, &o, topics)
	}
	return cmd
}

func (a *app) consume(ctx context.Context, c *client, o *consumeOptions, topics []string) error {
	span, err := parseSpan(o.offset, time.Now())
	if err != nil {
		return &usageError{err}
	}
	if o.exitAtEnd && span.until == nil {
		span.until = &offsetAt{kind: offsetEnd}
	}
	print, err := a.recordPrinter(o.format)
	if err != nil {
		return err
	}
	cl, err := c.open(ctx, a, o.clientOptions()...)
	if err != nil {
		return err
	}
	defer cl.Close()
	ranges, err := span.resolve(ctx, kadm.NewClient(cl), topics, o)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(a.stdout, 64<<10)
	r := &consumer{client: cl, ranges: ranges, bounded: span.until != nil, left: o.count, print: print, out: out, started: time.Now()}
	stop := func() {}
	if !isTerminal(a.stdout) {
		stop = a.progress(r.progress)
	}
	err = r.run(ctx, a.stderr)
	stop()
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = nil // that is how reading without an end ends
	}
	return errors.Join(err, out.Flush())
}

func (o *consumeOptions) clientOptions() []kgo.Opt {
	opts := []kgo.Opt{
		kgo.FetchMaxBytes(16 << 20),
		kgo.FetchMaxPartitionBytes(4 << 20),
		kgo.AlwaysRetryEOF(),
		// A marker at the end of a partition is the only sign that the end was reached.
		kgo.KeepControlRecords(),
	}
	if o.committed {
		opts = append(opts, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	return opts
}

// recordPrinter returns how one record is printed.
func (a *app) recordPrinter(format string) (func(io.Writer, *kgo.FetchPartition, *kgo.Record) error, error) {
	var buf []byte
	if a.format == formatJSON {
		return func(w io.Writer, _ *kgo.FetchPartition, r *kgo.Record) error {
			line, err := appendRecordJSON(buf[:0], r)
			if err == nil {
				_, err = w.Write(line)
			}
			buf = line
			return err
		}, nil
	}
	formatter, err := kgo.NewRecordFormatter(format)
	if err != nil {
		return nil, usagef("--format %q: %w", format, err)
	}
	return func(w io.Writer, p *kgo.FetchPartition, r *kgo.Record) error {
		buf = formatter.AppendPartitionRecord(buf[:0], p, r)
		_, err := w.Write(buf)
		return err
	}, nil
}

// noSuchTopic is the error for a topic that a broker does not know.
func noSuchTopic(name string) error {
	return fmt.Errorf("there is no topic %q ('bobbin topic list' shows those that are)", name)
}
