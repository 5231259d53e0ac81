package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// produceOptions are produce's flags.
type produceOptions struct {
	topic       string
	files       []string
	key         string
	separator   string
	format      string
	headers     []string
	partition   int32
	compression string
	acks        string
	tombstone   bool
	maxMessage  int32
	delivery    time.Duration
	create      bool

	// limitBytes bounds a batch, and so a line: maxMessage, or what the topic
	// allows. It is set before the first record is sent.
	limitBytes atomic.Int32
}

const (
	defaultLimitBytes = 1 << 20
	// maxLearntBytes bounds what a topic's configuration can make us buffer.
	maxLearntBytes = 32 << 20
)

func (a *app) produceCommand() *cobra.Command {
	var o produceOptions
	cmd := &cobra.Command{
		Use:   "produce TOPIC [FILE...]",
		Short: "Write records, one for every line of stdin or of files",
		Long: `Write one record for every line of the files, or of stdin if none is named.

The producer is idempotent: while the broker is away it waits and tries again,
and nothing is lost, written twice or out of order within a partition. A file
named - is stdin. Records without a key are spread over the partitions in runs;
those with a key go where Kafka's own clients send them.

-f reads other layouts, in the language of rpk (see franz-go's
kgo.NewRecordReader): %k key, %v value, %h{...} headers, %t topic, %p
partition, %d timestamp, \n newline, %V{big32} a length in front, and so on.`,
		Example: `  echo 'hello' | bobbin produce greetings
  bobbin produce words /usr/share/dict/words --compression zstd
  bobbin produce users --key-separator : < users.txt
  bobbin produce --topic '' -f '%t %k %v\n' < events.txt
  bobbin produce orders -k 42 -H source=shell -p 0 -o json < order.txt`,
	}
	f := cmd.Flags()
	f.StringVarP(&o.topic, "topic", "t", "", "the topic; all arguments are then files")
	f.StringVarP(&o.key, "key", "k", "", "the key of every record")
	f.StringVar(&o.separator, "key-separator", "", "lines are key, separator, value (\\t is a tab)")
	f.StringVarP(&o.format, "format", "f", "", "layout of the input, instead of lines")
	f.StringArrayVarP(&o.headers, "header", "H", nil, "a header of every record, name=value or name:value")
	f.Int32VarP(&o.partition, "partition", "p", -1, "write to this partition only")
	f.StringVarP(&o.compression, "compression", "z", "none", "none, gzip, snappy, lz4 or zstd")
	f.StringVar(&o.acks, "acks", "all", "all, 1 (leader) or 0 (none); only all is idempotent")
	f.BoolVarP(&o.tombstone, "tombstone", "Z", false, "an empty value is null, which deletes a key of a compacted topic")
	f.Int32Var(&o.maxMessage, "max-message-bytes", 0, "the largest batch, and so the longest line, that is sent (0: what the topic allows)")
	f.DurationVar(&o.delivery, "delivery-timeout", 0, "give up on a record after this long (0: never)")
	f.BoolVar(&o.create, "allow-auto-topic-creation", false, "let the broker make a topic that is not there")
	cmd.MarkFlagsMutuallyExclusive("format", "key-separator")
	cmd.MarkFlagsMutuallyExclusive("key", "key-separator")
	_ = cmd.RegisterFlagCompletionFunc("compression", cobra.FixedCompletions([]string{"none", "gzip", "snappy", "lz4", "zstd"}, cobra.ShellCompDirectiveNoFileComp)) // fails only for a flag that is not there
	c := a.clientFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.files = args
		switch {
		case !cmd.Flags().Changed("topic") && len(args) == 0:
			return usagef("say which topic")
		case !cmd.Flags().Changed("topic"):
			o.topic, o.files = args[0], args[1:]
		}
		return a.produce(cmd.Context(), c, &o)
	}
	return cmd
}

func (a *app) produce(ctx context.Context, c *client, o *produceOptions) error {
	template, err := o.template()
	if err != nil {
		return err
	}
	opts, err := o.clientOptions()
	if err != nil {
		return err
	}
	for _, name := range o.files { // a name that is wrong should be found before the first record is sent
		if name != "-" {
			info, err := os.Stat(name)
			if err == nil && info.IsDir() {
				err = fmt.Errorf("%s is a directory", name)
			}
			if err != nil {
				return err
			}
		}
	}
	if _, err := o.reader(nil, template); err != nil {
		return err
	}
	cl, err := c.open(ctx, a, opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	if o.maxMessage == 0 && o.topic != "" {
		o.learnLimit(ctx, kadm.NewClient(cl))
	}
	p := &producer{client: cl, started: time.Now()}
	stop := a.progress(p.progress)
	err = p.run(ctx, a.stderr, func(deliver func([]kgo.Record) bool) error { return a.readInput(o, template, deliver) })
	stop()
	return errors.Join(p.explain(err, o), a.printProduced(p.report()))
}

// template checks the flags that say what records look like.
func (o *produceOptions) template() (recordTemplate, error) {
	t := recordTemplate{topic: o.topic, partition: o.partition, tombstone: o.tombstone}
	if o.topic == "" && !strings.Contains(o.format, "%t") {
		return t, usagef("say which topic, or have %%t in the --format")
	}
	if o.key != "" {
		t.key = []byte(o.key)
	}
	for _, h := range o.headers {
		i := strings.IndexAny(h, "=:")
		if i <= 0 {
			return t, usagef("header %q is not of the form name=value", h)
		}
		t.headers = append(t.headers, kgo.RecordHeader{Key: h[:i], Value: []byte(h[i+1:])})
	}
	return t, nil
}

// learnLimit asks how large the topic's batches may be. A broker that does not
// say leaves the default.
func (o *produceOptions) learnLimit(ctx context.Context, adm *kadm.Client) {
	configs, err := adm.DescribeTopicConfigs(ctx, o.topic)
	if err != nil {
		return
	}
	for _, r := range configs {
		for _, c := range r.Configs {
			if c.Key != "max.message.bytes" {
				continue
			}
			if n, err := strconv.ParseInt(c.MaybeValue(), 10, 32); err == nil && n > 0 {
				o.limitBytes.Store(int32(min(max(n, 512), maxLearntBytes))) // 512 is the client's least
			}
		}
	}
}

func (o *produceOptions) clientOptions() ([]kgo.Opt, error) {
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	codec, ok := codecs[o.compression]
	if !ok {
		return nil, usagef("no compression is called %q; there are: none, gzip, snappy, lz4, zstd", o.compression)
	}
	if o.maxMessage != 0 && (o.maxMessage < 1024 || o.maxMessage > 512<<20) {
		return nil, usagef("--max-message-bytes %d is not between 1 KiB and 512 MiB", o.maxMessage)
	}
	o.limitBytes.Store(cmp.Or(o.maxMessage, defaultLimitBytes))
	opts := []kgo.Opt{
		kgo.ProducerBatchCompression(codec),
		kgo.ProducerBatchMaxBytesFn(func(string) int32 { return o.limitBytes.Load() }),
		kgo.BrokerMaxWriteBytes(max(100<<20, o.maxMessage+1<<20)),
		kgo.MaxBufferedRecords(100_000),
		kgo.MaxBufferedBytes(max(maxLearntBytes, int(o.maxMessage))),
		// A broker that is killed while a connection is being made is no reason to give up.
		kgo.AlwaysRetryEOF(),
	}
	switch o.acks {
	case "all", "-1":
		// Starting over after a gap would hide a loss, or write twice.
		opts = append(opts, kgo.RequiredAcks(kgo.AllISRAcks()), kgo.StopProducerOnDataLossDetected())
	case "1":
		opts = append(opts, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	case "0":
		opts = append(opts, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	default:
		return nil, usagef("--acks %q is not all, 1 or 0", o.acks)
	}
	if o.partition >= 0 || strings.Contains(o.format, "%p") {
		opts = append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	if o.delivery > 0 {
		opts = append(opts, kgo.RecordDeliveryTimeout(o.delivery))
	}
	if o.create {
		opts = append(opts, kgo.AllowAutoTopicCreation())
	}
	return opts, nil
}

// recordSource is lines or another layout.
type recordSource interface {
	// next returns at least one record, or an error: io.EOF after the last one.
	next() ([]kgo.Record, error)
}

func (o *produceOptions) reader(r io.Reader, t recordTemplate) (recordSource, error) {
	if o.format != "" {
		reader, err := kgo.NewRecordReader(r, o.format)
		if err != nil {
			return nil, usagef("--format %q: %w", o.format, err)
		}
		return &formatRecords{reader: reader, template: t}, nil
	}
	var separator []byte
	if o.separator != "" {
		text, err := strconv.Unquote(`"` + strings.ReplaceAll(o.separator, `"`, `\"`) + `"`)
		if err != nil {
			text = o.separator
		}
		separator = []byte(text)
	}
	return &lineRecords{lines: &lineReader{r: r, maxBytes: int(o.limitBytes.Load())}, separator: separator, template: t}, nil
}

// readInput hands every record of the input on, until deliver says no.
func (a *app) readInput(o *produceOptions, t recordTemplate, deliver func([]kgo.Record) bool) error {
	read := func(name string, r io.Reader) error {
		source, err := o.reader(r, t)
		if err != nil {
			return err
		}
		for {
			records, err := source.next()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if !deliver(records) {
				return nil
			}
		}
	}
	if len(o.files) == 0 {
		return read("stdin", a.stdin)
	}
	for _, name := range o.files {
		if name == "-" {
			if err := read("stdin", a.stdin); err != nil {
				return err
			}
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		err = read(name, f)
		f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
