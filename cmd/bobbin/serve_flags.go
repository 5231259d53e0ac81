package main

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// serveFlags are the flags of serve. Those that stand for one key are only
// another way to write it.
type serveFlags struct {
	overrides      []string
	listen         []string
	advertise      []string
	dataDir        string
	nodeID         int
	sync           string
	allowPlaintext bool
	logFormat      string
	logLevel       string

	changed func(flag string) bool
}

func (f *serveFlags) register(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringArrayVar(&f.overrides, "override", nil, "set a key, key=value; before everything else")
	fs.StringSliceVarP(&f.listen, "listen", "l", nil, "where to listen, host:port or NAME://host:port (listeners; default 127.0.0.1:9092)")
	fs.StringSliceVar(&f.advertise, "advertise", nil, "what clients are told to connect to (advertised.listeners)")
	fs.StringVarP(&f.dataDir, "data-dir", "d", "", "where the data is (log.dirs; default ./data)")
	fs.IntVar(&f.nodeID, "node-id", 0, "the broker's number (node.id; default 1)")
	fs.StringVar(&f.sync, "sync", "", "when records are made durable, such as always, interval or none (bobbin.sync; default always)")
	fs.BoolVar(&f.allowPlaintext, "allow-plaintext", false, "let other machines connect without encryption (bobbin.allow.plaintext)")
	fs.StringVar(&f.logFormat, "log-format", "", "text, json or auto: text on a terminal (bobbin.log.format)")
	fs.StringVar(&f.logLevel, "log-level", "", "debug, info, warn or error (bobbin.log.level; default info)")
	f.changed = func(flag string) bool { return fs.Changed(flag) }
}

// settings brings flags, environment, file and defaults together.
func (f *serveFlags) settings(a *app, args []string) (*settings, error) {
	from := settingsSources{environ: a.environ, overrides: f.overrides, flags: map[string]string{}, flagNames: map[string]string{}}
	if len(args) > 0 {
		from.file = args[0]
	}
	for _, x := range []struct{ flag, key, value string }{
		{"listen", "listeners", strings.Join(f.listen, ",")},
		{"advertise", "advertised.listeners", strings.Join(f.advertise, ",")},
		{"data-dir", "log.dirs", f.dataDir},
		{"node-id", "node.id", strconv.Itoa(f.nodeID)},
		{"sync", "bobbin.sync", f.sync},
		{"allow-plaintext", "bobbin.allow.plaintext", strconv.FormatBool(f.allowPlaintext)},
		{"log-format", "bobbin.log.format", f.logFormat},
		{"log-level", "bobbin.log.level", f.logLevel},
	} {
		if f.changed(x.flag) {
			from.flags[x.key], from.flagNames[x.key] = x.value, x.flag
		}
	}
	return loadSettings(from)
}
