package bench

import (
	"flag"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Flags are a Plan as a command line says it. The defaults answer the usual
// question in a few minutes.
type Flags struct {
	Designs    []string          // patterns of subjects' names
	Partitions []int             //
	Settings   map[string]string // of topics, for Bobbin's own designs
	Work       Work
	Rounds     int
	Dir        string
	Report     string // base of the files to write, empty: none
}

// Define adds the flags to f, with the defaults in force.
func (c *Flags) Define(f *flag.FlagSet, designs []string) {
	c.DefineWork(f)
	c.Designs, c.Partitions = designs, []int{1, 64, 1000}
	f.Func("designs", "`names` or patterns such as '*+mmap+always', with commas (what the default is, the report shows)", func(s string) error {
		c.Designs = strings.Split(s, ",")
		return nil
	})
	f.Func("partitions", "`numbers` of partitions to try, with commas (default 1,64,1000)", func(s string) error {
		c.Partitions = nil
		for text := range strings.SplitSeq(s, ",") {
			n, err := strconv.Atoi(text)
			if err != nil {
				return fmt.Errorf("%q is not a number", text)
			}
			c.Partitions = append(c.Partitions, n)
		}
		return nil
	})
	f.StringVar(&c.Report, "report", "", "write the report to `file`.md and file.json")
}

// DefineWork adds those of the flags that say what is done, and not by whom.
func (c *Flags) DefineWork(f *flag.FlagSet) {
	*c = Flags{
		Settings: map[string]string{}, Rounds: 3, Dir: ".",
		Work: Work{
			Partitions: 1, Writers: 64, BatchBytes: 16 << 10, RecordBytes: 1 << 10,
			Warmup: time.Second, Time: 3 * time.Second, LimitBytes: 1 << 30,
		},
	}
	f.Func("config", "a topic `setting` for Bobbin's own designs, key=value; may be given again", func(s string) error {
		key, value, ok := strings.Cut(s, "=")
		if !ok {
			return fmt.Errorf("%q is not of the form key=value", s)
		}
		c.Settings[key] = value
		return nil
	})
	f.IntVar(&c.Work.Writers, "writers", c.Work.Writers, "how many append at once")
	f.Func("batch", "`size` of an append, such as 1KiB or 1MiB (default 16KiB)", size(&c.Work.BatchBytes))
	f.Func("record", "`size` of the records in it (default 1KiB)", size(&c.Work.RecordBytes))
	f.Float64Var(&c.Work.Rate, "rate", 0, "`appends` a second in all, latency from when each was due (0: closed loop)")
	f.DurationVar(&c.Work.Time, "time", c.Work.Time, "how long a turn is measured")
	f.DurationVar(&c.Work.Warmup, "warmup", c.Work.Warmup, "how long it runs before that")
	f.IntVar(&c.Rounds, "rounds", c.Rounds, "how many turns each has; figures are medians")
	f.StringVar(&c.Dir, "dir", c.Dir, "`directory` on the file system to measure; everything made in it is removed")
}

// Plan makes the plan that the flags ask for, of the designs in all.
func (c *Flags) Plan(all []Subject) (Plan, error) {
	some, err := Select(all, c.Designs)
	if err != nil {
		return Plan{}, err
	}
	p := Plan{Subjects: some, Partitions: c.Partitions, Work: c.Work, Rounds: c.Rounds, Dir: c.Dir}
	return p, p.Validate()
}

// size parses 100, 16KiB and 1MiB.
func size(to *int) func(string) error {
	return func(s string) error {
		shift := 0
		number := s
		for unit, by := range map[string]int{"KiB": 10, "MiB": 20} {
			if n, ok := strings.CutSuffix(s, unit); ok {
				number, shift = n, by
			}
		}
		n, err := strconv.ParseInt(number, 10, 32)
		if err != nil || n<<shift > maxBatchBytes {
			return fmt.Errorf("%q is not a size such as 100, 16KiB or 1MiB, of at most %d MiB", s, maxBatchBytes>>20)
		}
		*to = int(n << shift)
		return nil
	}
}
