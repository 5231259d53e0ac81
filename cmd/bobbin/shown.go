package main

import (
	"strings"

	"github.com/bobbin-log/bobbin/engine"
	"github.com/bobbin-log/bobbin/protocol"
)

// shownToClients is the broker's own configuration as DescribeConfigs shows it.
// The defaults of topics and the node's id are not in it: the server has them.
func shownToClients(s *settings) []protocol.BrokerConfig {
	kinds := map[keyKind]engine.KeyType{
		keyBoolean: engine.Boolean, keyInt: engine.Int, keyLong: engine.Long, keyDouble: engine.Double, keyString: engine.String, keyList: engine.List,
	}
	var all []protocol.BrokerConfig
	for _, k := range brokerKeys {
		if k.name == "node.id" || k.name == "broker.id" {
			continue
		}
		v := s.get(k.name)
		all = append(all, protocol.BrokerConfig{
			Name: k.name, Value: v.value, Default: k.def, Doc: sentence(k.doc), Kind: kinds[k.kind],
			Set: v.rank != rankDefault,
		})
	}
	return all
}

// sentence makes one of a key's note.
func sentence(note string) string {
	return strings.ToUpper(note[:1]) + note[1:] + "."
}
