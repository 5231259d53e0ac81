package main

import (
	"os"
	"strings"
	"testing"
)

func TestEndpoints(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Skip(err)
	}
	for _, c := range []struct {
		name               string
		overrides          []string
		listen, advertised string // what it comes to
		remarks            int
	}{
		{"default", nil, "PLAINTEXT://127.0.0.1:9092", "PLAINTEXT://127.0.0.1:9092", 0},
		{"advertised", []string{"advertised.listeners=PLAINTEXT://b.example:19092"}, "PLAINTEXT://127.0.0.1:9092", "PLAINTEXT://b.example:19092", 0},
		{"without a name", []string{"listeners=127.0.0.1:0,[::1]:9093"}, "PLAINTEXT://127.0.0.1:0 PLAINTEXT-2://[::1]:9093", "PLAINTEXT://127.0.0.1:0 PLAINTEXT-2://[::1]:9093", 0},
		{"every address", []string{"listeners=PLAINTEXT://:9092", "bobbin.allow.plaintext=true"}, "PLAINTEXT://:9092", "PLAINTEXT://" + host + ":9092", 0},
		{"every address of IPv6", []string{"listeners=PLAINTEXT://[::]:9092", "bobbin.allow.plaintext=true"}, "PLAINTEXT://[::]:9092", "PLAINTEXT://" + host + ":9092", 0},
		{"a controller's", []string{"listeners=PLAINTEXT://127.0.0.1:1,CONTROLLER://:2", "controller.listener.names=CONTROLLER", "advertised.listeners=PLAINTEXT://localhost:1,CONTROLLER://localhost:2"},
			"PLAINTEXT://127.0.0.1:1", "PLAINTEXT://localhost:1", 1},
		{"names", []string{"listeners=IN://127.0.0.1:1,OUT://127.0.0.1:2", "listener.security.protocol.map=IN:PLAINTEXT,OUT:PLAINTEXT"},
			"IN://127.0.0.1:1 OUT://127.0.0.1:2", "IN://127.0.0.1:1 OUT://127.0.0.1:2", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := loadSettings(settingsSources{overrides: c.overrides})
			if err != nil {
				t.Fatal(err)
			}
			e, err := resolveEndpoints(s)
			if err != nil {
				t.Fatal(err)
			}
			if got := text(e.listeners); got != c.listen {
				t.Errorf("listens at %s, want %s", got, c.listen)
			}
			if got := text(e.advertised); got != c.advertised {
				t.Errorf("advertises %s, want %s", got, c.advertised)
			}
			if len(e.remarks) != c.remarks {
				t.Errorf("remarks: %q", e.remarks)
			}
		})
	}
}

func text(list []listener) string {
	var all []string
	for _, l := range list {
		all = append(all, l.String())
	}
	return strings.Join(all, " ")
}

func TestRefusedConfigurations(t *testing.T) {
	for _, c := range []struct{ overrides, says string }{
		{"listeners=0.0.0.0:9092", "--allow-plaintext"},
		{"listeners=:9092", "--allow-plaintext"},
		{"listeners=192.0.2.1:9092", "--allow-plaintext"},
		{"listeners=SSL://127.0.0.1:9092", "needs SSL"},
		{"listeners=SASL_SSL://127.0.0.1:9092", "needs SASL_SSL"},
		{"listeners=X://127.0.0.1:9092", "does not say which protocol X is"},
		{"listeners=X://127.0.0.1:9092 listener.security.protocol.map=X:TELNET", "no security protocol"},
		{"listeners=A://127.0.0.1:9092,A://127.0.0.1:9093", "two listeners are named A"},
		{"listeners=127.0.0.1:9092,127.0.0.1:9092", "two listeners are at"},
		{"listeners=127.0.0.1", "not of the form NAME://host:port"},
		{"listeners=127.0.0.1:99999", "not of the form NAME://host:port"},
		{"listeners=C://127.0.0.1:1 controller.listener.names=C", "there is none for clients"},
		{"advertised.listeners=Y://h:1", "no listener is named Y"},
		{"advertised.listeners=PLAINTEXT://0.0.0.0:1", "no address that a client can connect to"},
		{"log.dirs=/a,/b", "2 directories"},
		{"log.dirs=", "where the data is to be"},
		{"process.roles=controller", "always broker and controller"},
		{"controller.quorum.voters=1@a:1,2@b:1,3@c:1", "single node"},
		{"controller.quorum.voters=2@a:1", "is not this node"},
		{"default.replication.factor=3", "as many brokers"},
		{"bobbin.log.format=xml", "not text, json or auto"},
		{"bobbin.log.level=loud", "not debug, info, warn or error"},
	} {
		args := []string{"config", "show"}
		for o := range strings.FieldsSeq(c.overrides) {
			args = append(args, "--override", o)
		}
		r := run(t, args...)
		if r.code != exitUsage || !strings.Contains(r.stderr, c.says) {
			t.Errorf("%s: exit code %d, %q does not say %q", c.overrides, r.code, r.stderr, c.says)
		}
	}
}
