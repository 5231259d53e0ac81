package main

import (
	"strings"

	"github.com/bobbin-log/bobbin/protocol"
)

// Of the keys that do nothing here, those that Kafka lets change while it runs may be
// changed here too: they are kept and shown, and do nothing as before. Not so TLS's
// and JAAS's: who sets them relies on it.
const (
	ignoredPerBroker = `
		principal.builder.class sasl.enabled.mechanisms sasl.kerberos.kinit.cmd
		sasl.kerberos.min.time.before.relogin sasl.kerberos.principal.to.local.rules sasl.kerberos.service.name
		sasl.kerberos.ticket.renew.jitter sasl.kerberos.ticket.renew.window.factor
		sasl.login.refresh.buffer.seconds sasl.login.refresh.min.period.seconds sasl.login.refresh.window.factor
		sasl.login.refresh.window.jitter sasl.mechanism.inter.broker.protocol`
	ignoredClusterWide = `
		background.threads errors.deadletterqueue.auto.create.topics.enable errors.deadletterqueue.topic.name.prefix
		follower.fetch.last.tiered.offset.enable group.consumer.assignment.interval.ms
		group.coordinator.cached.buffer.max.bytes group.share.assignment.interval.ms
		group.streams.assignment.interval.ms log.cleaner.io.buffer.load.factor log.cleaner.io.buffer.size
		log.cleaner.threads max.connection.creation.rate max.connections.per.ip max.connections.per.ip.overrides
		metric.reporters num.io.threads num.network.threads num.recovery.threads.per.data.dir num.replica.fetchers
		producer.id.expiration.ms remote.fetch.max.wait.ms remote.list.offsets.request.timeout.ms
		remote.log.index.file.cache.total.size.bytes remote.log.manager.copier.thread.pool.size
		remote.log.manager.copy.max.bytes.per.second remote.log.manager.expiration.thread.pool.size
		remote.log.manager.fetch.max.bytes.per.second remote.log.manager.follower.thread.pool.size
		remote.log.reader.threads share.coordinator.cached.buffer.max.bytes
		transaction.partition.verification.enable`
)

// updateModes says of every key how it can be changed: those that Bobbin acts upon
// by a restart, but for the defaults of topics, which the server knows.
func updateModes() map[string]protocol.UpdateMode {
	modes := map[string]protocol.UpdateMode{}
	for _, k := range brokerKeys {
		modes[k.name] = protocol.ReadOnly
	}
	for _, g := range ignoredKeys {
		for _, name := range strings.Fields(g.names) {
			modes[name] = protocol.ReadOnly
		}
	}
	for _, name := range strings.Fields(ignoredPerBroker) {
		modes[name] = protocol.PerBroker
	}
	for _, name := range strings.Fields(ignoredClusterWide) {
		modes[name] = protocol.ClusterWide
	}
	return modes
}
