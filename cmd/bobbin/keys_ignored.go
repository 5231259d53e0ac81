package main

// ignoredGroup are keys of Kafka's that are accepted and do nothing, for one
// reason. Whoever sets one of them is told once, at the start.
type ignoredGroup struct {
	why   string
	names string // separated by white space
}

// ignoredKeys lists the rest of Kafka's broker configuration, by the names that
// DescribeConfigs of a Kafka 4.4 broker returns.
var ignoredKeys = []ignoredGroup{
	{"there are no transactions yet", `
		add.partitions.to.txn.retry.backoff.max.ms add.partitions.to.txn.retry.backoff.ms
		transaction.abort.timed.out.transaction.cleanup.interval.ms transaction.max.timeout.ms
		transaction.partition.verification.enable transaction.remove.expired.transaction.cleanup.interval.ms
		transaction.state.log.load.buffer.size transaction.state.log.min.isr transaction.state.log.num.partitions
		transaction.state.log.replication.factor transaction.state.log.segment.bytes
		transaction.two.phase.commit.enable transactional.id.expiration.ms`},
	{"Java classes cannot be loaded", `
		alter.config.policy.class.name create.topic.policy.class.name`},
	{"a single node talks to no other", `
		alter.log.dirs.replication.quota.window.num alter.log.dirs.replication.quota.window.size.seconds
		auto.leader.rebalance.enable broker.heartbeat.interval.ms broker.session.timeout.ms controlled.shutdown.enable
		controller.quorum.append.linger.ms controller.quorum.auto.join.enable
		controller.quorum.election.backoff.max.ms controller.quorum.election.timeout.ms
		controller.quorum.fetch.max.bytes controller.quorum.fetch.snapshot.max.bytes
		controller.quorum.fetch.timeout.ms controller.quorum.request.timeout.ms controller.quorum.retry.backoff.ms
		controller.socket.timeout.ms early.start.listeners initial.broker.registration.timeout.ms
		inter.broker.listener.name leader.imbalance.check.interval.seconds log.dir.failure.timeout.ms
		num.replica.alter.log.dirs.threads num.replica.fetchers replica.fetch.backoff.ms replica.fetch.max.bytes
		replica.fetch.min.bytes replica.fetch.response.max.bytes replica.fetch.wait.max.ms
		replica.high.watermark.checkpoint.interval.ms replica.lag.time.max.ms replica.selector.class
		replica.socket.receive.buffer.bytes replica.socket.timeout.ms replication.quota.window.num
		replication.quota.window.size.seconds request.timeout.ms socket.connection.setup.timeout.max.ms
		socket.connection.setup.timeout.ms`},
	{"goroutines take the place of threads and their queues", `
		background.threads num.io.threads num.network.threads num.recovery.threads.per.data.dir queued.max.requests
		socket.listen.backlog.size`},
	{"there are no quotas yet", `
		client.quota.callback.class controller.quota.window.num controller.quota.window.size.seconds
		max.connection.creation.rate max.connections.per.ip max.connections.per.ip.overrides quota.window.num
		quota.window.size.seconds`},
	{"there is neither TLS nor SASL yet, and listeners that need them are refused", `
		connection.failed.authentication.delay.ms connections.max.reauth.ms delegation.token.expiry.check.interval.ms
		delegation.token.expiry.time.ms delegation.token.max.lifetime.ms delegation.token.secret.key
		principal.builder.class sasl.client.callback.handler.class sasl.enabled.mechanisms sasl.jaas.config
		sasl.kerberos.kinit.cmd sasl.kerberos.min.time.before.relogin sasl.kerberos.principal.to.local.rules
		sasl.kerberos.service.name sasl.kerberos.ticket.renew.jitter sasl.kerberos.ticket.renew.window.factor
		sasl.login.callback.handler.class sasl.login.class sasl.login.connect.timeout.ms sasl.login.read.timeout.ms
		sasl.login.refresh.buffer.seconds sasl.login.refresh.min.period.seconds sasl.login.refresh.window.factor
		sasl.login.refresh.window.jitter sasl.login.retry.backoff.max.ms sasl.login.retry.backoff.ms
		sasl.mechanism.controller.protocol sasl.mechanism.inter.broker.protocol
		sasl.oauthbearer.allow.unverified.audience sasl.oauthbearer.allow.unverified.issuer
		sasl.oauthbearer.assertion.algorithm sasl.oauthbearer.assertion.claim.aud
		sasl.oauthbearer.assertion.claim.exp.seconds sasl.oauthbearer.assertion.claim.iss
		sasl.oauthbearer.assertion.claim.jti.include sasl.oauthbearer.assertion.claim.nbf.seconds
		sasl.oauthbearer.assertion.claim.sub sasl.oauthbearer.assertion.file
		sasl.oauthbearer.assertion.private.key.file sasl.oauthbearer.assertion.private.key.passphrase
		sasl.oauthbearer.assertion.template.file sasl.oauthbearer.client.credentials.client.id
		sasl.oauthbearer.client.credentials.client.secret sasl.oauthbearer.clock.skew.seconds
		sasl.oauthbearer.expected.audience sasl.oauthbearer.expected.issuer sasl.oauthbearer.jwks.endpoint.refresh.ms
		sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms sasl.oauthbearer.jwks.endpoint.retry.backoff.ms
		sasl.oauthbearer.jwks.endpoint.url sasl.oauthbearer.jwt.retriever.class sasl.oauthbearer.jwt.validator.class
		sasl.oauthbearer.scope sasl.oauthbearer.scope.claim.name sasl.oauthbearer.sub.claim.name
		sasl.oauthbearer.token.endpoint.url sasl.server.callback.handler.class sasl.server.max.receive.size
		security.inter.broker.protocol security.providers ssl.allow.dn.changes ssl.allow.san.changes ssl.cipher.suites
		ssl.client.auth ssl.enabled.protocols ssl.endpoint.identification.algorithm ssl.engine.factory.class
		ssl.key.password ssl.keymanager.algorithm ssl.keystore.certificate.chain ssl.keystore.key
		ssl.keystore.location ssl.keystore.password ssl.keystore.type ssl.principal.mapping.rules ssl.protocol
		ssl.provider ssl.secure.random.implementation ssl.trustmanager.algorithm ssl.truststore.certificates
		ssl.truststore.location ssl.truststore.password ssl.truststore.type`},
	{"there is one data directory only", `
		cordoned.log.dirs`},
	{"requests that wait are kept in another way, which needs no purge", `
		delete.records.purgatory.purge.interval.requests fetch.purgatory.purge.interval.requests
		producer.purgatory.purge.interval.requests`},
	{"there are no share groups yet", `
		errors.deadletterqueue.auto.create.topics.enable errors.deadletterqueue.topic.name.prefix
		group.share.assignment.interval.ms group.share.assignors group.share.delivery.count.limit
		group.share.heartbeat.interval.ms group.share.max.assignment.interval.ms group.share.max.delivery.count.limit
		group.share.max.heartbeat.interval.ms group.share.max.partition.max.record.locks
		group.share.max.record.lock.duration.ms group.share.max.session.timeout.ms group.share.max.share.sessions
		group.share.max.size group.share.min.assignment.interval.ms group.share.min.delivery.count.limit
		group.share.min.heartbeat.interval.ms group.share.min.partition.max.record.locks
		group.share.min.record.lock.duration.ms group.share.min.session.timeout.ms
		group.share.partition.max.record.locks group.share.record.lock.duration.ms group.share.session.timeout.ms
		share.coordinator.append.linger.ms share.coordinator.cached.buffer.max.bytes
		share.coordinator.load.buffer.size share.coordinator.snapshot.update.records.per.snapshot
		share.coordinator.state.topic.compression.codec share.coordinator.state.topic.min.isr
		share.coordinator.state.topic.num.partitions share.coordinator.state.topic.replication.factor
		share.coordinator.state.topic.segment.bytes share.coordinator.threads share.coordinator.write.timeout.ms
		share.fetch.purgatory.purge.interval.requests`},
	{"there is no tiered storage", `
		follower.fetch.last.tiered.offset.enable
		remote.fetch.max.wait.ms remote.list.offsets.request.timeout.ms remote.log.index.file.cache.total.size.bytes
		remote.log.manager.copier.thread.pool.size remote.log.manager.copy.max.bytes.per.second
		remote.log.manager.copy.quota.window.num remote.log.manager.copy.quota.window.size.seconds
		remote.log.manager.expiration.thread.pool.size remote.log.manager.fetch.max.bytes.per.second
		remote.log.manager.fetch.quota.window.num remote.log.manager.fetch.quota.window.size.seconds
		remote.log.manager.follower.thread.pool.size remote.log.manager.task.interval.ms
		remote.log.manager.thread.pool.size remote.log.metadata.custom.metadata.max.bytes
		remote.log.metadata.manager.class.name remote.log.metadata.manager.class.path
		remote.log.metadata.manager.impl.prefix remote.log.metadata.manager.listener.name
		remote.log.reader.max.pending.tasks remote.log.reader.threads remote.log.storage.manager.class.name
		remote.log.storage.manager.class.path remote.log.storage.manager.impl.prefix`},
	{"there are no consumer groups yet", `
		group.consumer.assignment.interval.ms group.consumer.assignors group.consumer.heartbeat.interval.ms
		group.consumer.max.assignment.interval.ms group.consumer.max.heartbeat.interval.ms
		group.consumer.max.session.timeout.ms group.consumer.max.size group.consumer.migration.policy
		group.consumer.min.assignment.interval.ms group.consumer.min.heartbeat.interval.ms
		group.consumer.min.session.timeout.ms group.consumer.session.timeout.ms group.coordinator.append.linger.ms
		group.coordinator.background.threads group.coordinator.cached.buffer.max.bytes
		group.coordinator.rebalance.protocols group.coordinator.threads group.initial.rebalance.delay.ms
		group.max.session.timeout.ms group.max.size group.min.session.timeout.ms offset.metadata.max.bytes
		offsets.commit.timeout.ms offsets.load.buffer.size offsets.retention.check.interval.ms
		offsets.retention.minutes offsets.topic.compression.codec offsets.topic.num.partitions
		offsets.topic.replication.factor offsets.topic.segment.bytes`},
	{"there are no streams groups yet", `
		group.streams.assignment.interval.ms group.streams.assignors group.streams.heartbeat.interval.ms
		group.streams.initial.rebalance.delay.ms group.streams.max.assignment.interval.ms
		group.streams.max.heartbeat.interval.ms group.streams.max.session.timeout.ms group.streams.max.size
		group.streams.max.standby.replicas group.streams.min.assignment.interval.ms
		group.streams.min.heartbeat.interval.ms group.streams.min.session.timeout.ms
		group.streams.num.standby.replicas group.streams.rack.aware.assignment.tags group.streams.session.timeout.ms
		group.streams.topology.description.plugin.class`},
	{"the Java virtual machine's metrics are not Bobbin's", `
		kafka.metrics.polling.interval.secs kafka.metrics.reporters metric.reporters metrics.num.samples
		metrics.recording.level metrics.sample.window.ms telemetry.max.bytes`},
	{"compaction has one goroutine, and bounds its own buffers", `
		log.cleaner.io.buffer.load.factor log.cleaner.io.buffer.size log.cleaner.threads`},
	{"it belongs to how Kafka is made inside; Bobbin has bounds of its own", `
		log.flush.offset.checkpoint.interval.ms log.flush.scheduler.interval.ms
		log.flush.start.offset.checkpoint.interval.ms max.request.partition.size.limit
		producer.id.expiration.ms`},
	{"Bobbin keeps its metadata in its own way, in the data directory", `
		metadata.log.dir metadata.log.max.record.bytes.between.snapshots metadata.log.max.snapshot.interval.ms
		metadata.log.segment.bytes metadata.log.segment.ms metadata.max.idle.interval.ms metadata.max.retention.bytes
		metadata.max.retention.ms`},
	{"it is of older releases of Kafka", `
		advertised.host.name advertised.port broker.id.generation.enable control.plane.listener.name host.name
		inter.broker.protocol.version log.message.downconversion.enable log.message.format.version
		log.message.timestamp.difference.max.ms port reserved.broker.max.id zookeeper.connect
		zookeeper.connection.timeout.ms zookeeper.session.timeout.ms`},
}
