package protocol_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/protocol/brokertest"
)

// refusedConfig checks that the answer is INVALID_CONFIG with all that it should
// say.
func refusedConfig(t *testing.T, what string, err error, message string, says ...string) {
	t.Helper()
	if !errors.Is(err, kerr.InvalidConfig) {
		t.Errorf("%s: %v %q, want INVALID_CONFIG", what, err, message)
	}
	for _, s := range says {
		if !strings.Contains(message, s) {
			t.Errorf("%s was answered with %q, which does not say %q", what, message, s)
		}
	}
}

// A design is chosen by name when a topic is made; a wrong name is answered with
// the choices.
func TestCreateTopicWithDesign(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory(), brokertest.Defaults(func(c *engine.Config) { c.Design.Sync = "interval" }))
	a := admin(t, b)
	for _, c := range []struct {
		design string
		says   []string
	}{
		{"flie+dense", []string{`no segment is called "flie"`, "did you mean file?", "memory"}},
		{"file+dense+alwas", []string{"did you mean always?", "linger"}},
		{"file+dense+always+never", []string{`no retention is called "never"; there are: time+size, time, size, `}},
		{"dense", []string{"which is an index: a design is segment+index+sync+retention"}},
	} {
		r, err := a.CreateTopic(t.Context(), 1, 1, map[string]*string{"bobbin.design": &c.design}, "refused")
		if err == nil {
			err = r.Err
		}
		refusedConfig(t, c.design, err, r.ErrMessage, c.says...)
	}
	design := "file+dense"
	if _, err := a.CreateTopic(t.Context(), 1, 1, map[string]*string{"bobbin.design": &design}, "t"); err != nil {
		t.Fatal(err)
	}
	shows(t, a, "bobbin.design", "file+dense+interval+time+size")
	shows(t, a, "bobbin.sync", "interval")
}

// shows checks a config of the topic t as the client sees it.
func shows(t *testing.T, a *kadm.Client, key, want string) {
	t.Helper()
	rs, err := a.DescribeTopicConfigs(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range rs[0].Configs {
		if c.Key == key && c.MaybeValue() != want {
			t.Errorf("%s is %q, want %q", key, c.MaybeValue(), want)
		}
	}
}

// What decides how a log is kept can be altered at any time. What decides how its
// bytes lie cannot, but for designs that read the same files.
func TestAlterDesign(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	b.CreateTopic("t", 1)
	a := admin(t, b)
	alter := func(op kadm.IncrementalOp, value string) (string, error) {
		t.Helper()
		rs, err := a.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: op, Name: "bobbin.design", Value: &value}}, "t")
		if err != nil {
			t.Fatal(err)
		}
		return rs[0].ErrMessage, rs[0].Err
	}
	for _, value := range []string{"file+mmap+linger", "file+dense+linger+size", "default+default+none+keep", "file+dense"} {
		if why, err := alter(kadm.SetConfig, value); err != nil {
			t.Errorf("%s: %v %s", value, err, why)
		}
	}
	shows(t, a, "bobbin.design", "file+dense+always+time+size")
	p, err := b.Node().Partition("t", 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Config().Design.String(); got != "file+dense+always+time+size" {
		t.Errorf("the open log is %s", got)
	}
	for value, says := range map[string]string{
		"memory+dense":     "its segment file cannot become memory: how bytes are laid out is chosen when a topic is made; sync policy and retention can be altered",
		"file+none":        "its index dense cannot become none",
		"memory+btree":     "its segment file cannot become memory, and its index dense cannot become btree",
		"file+dense+alwas": "did you mean always?",
	} {
		why, err := alter(kadm.SetConfig, value)
		refusedConfig(t, value, err, why, says, "bobbin.design")
	}
	shows(t, a, "bobbin.design", "file+dense+always+time+size")
	if why, err := alter(kadm.DeleteConfig, ""); err != nil {
		t.Errorf("back to the broker's: %v %s", err, why)
	}
	shows(t, a, "bobbin.design", "file+mmap+always+time+size")
}

// A topic that goes back to the broker's design needs one that it can go back to.
func TestAlterDesignBackToDefault(t *testing.T) {
	b := brokertest.Start(t, brokertest.InMemory())
	b.CreateTopic("t", 1, "bobbin.design=memory", "retention.ms=1000")
	a := admin(t, b)
	ms := "2000"
	rs, err := a.AlterTopicConfigsState(t.Context(), []kadm.AlterConfig{{Name: "retention.ms", Value: &ms}}, "t")
	if err != nil {
		t.Fatal(err)
	}
	refusedConfig(t, "leaving bobbin.design out", rs[0].Err, rs[0].ErrMessage, "its segment memory cannot become file")
	shows(t, a, "retention.ms", "1000")
}
