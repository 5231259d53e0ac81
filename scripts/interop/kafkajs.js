// kafkajs. usage: BOOTSTRAP=host:port RUN=prefix NODE_PATH=… node kafkajs.js cases | write FILE | read DIR TOPIC…
//
// The files are manifests of the suite; go/manifest.go tells their format. kafkajs has no consumer without a group, so
// what it reads it reads with its own fetch requests and its own decoders, one partition after the other.
'use strict'
const fs = require('fs')
const path = require('path')
const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = require('kafkajs')

const { BOOTSTRAP, RUN } = process.env
const STEP_MS = 120_000
const MAX_FITTING_VALUE = 1_048_588 - 61 - 11 // one record's batch of max.message.bytes
const CODECS = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
}

CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')
CompressionCodecs[CompressionTypes.LZ4] = () => {
  const lz4 = require('lz4js')
  const { hash } = require('lz4js/xxh32')
  return {
    compress: async encoder => {
      // A frame is magic, flags, block size, header checksum, blocks. Kafka wants the flag that says that blocks do not
      // refer to each other, and lz4js leaves it out; below 4 MB there is one block, so it is true.
      const frame = Buffer.from(lz4.compress(encoder.buffer))
      frame[4] |= 0x20
      frame[6] = (hash(0, frame, 4, 2) >>> 8) & 0xff
      return frame
    },
    decompress: async buffer => Buffer.from(lz4.decompress(buffer)),
  }
}
CompressionCodecs[CompressionTypes.ZSTD] = () => {
  // Its simple decoder wants to know the size beforehand, which streaming encoders leave out.
  const ready = new Promise(resolve => require('zstd-codec').ZstdCodec.run(z => resolve(new z.Streaming())))
  return {
    compress: async encoder => Buffer.from((await ready).compress(encoder.buffer)),
    decompress: async buffer => Buffer.from((await ready).decompress(buffer)),
  }
}

const kafka = new Kafka({
  clientId: 'interop',
  brokers: [BOOTSTRAP],
  logLevel: logLevel.NOTHING,
  connectionTimeout: STEP_MS,
  requestTimeout: STEP_MS,
  retry: { retries: 4 },
})

// Clients, closed again whatever happens

async function using(client, work) {
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.disconnect()
  }
}

const withAdmin = work => using(kafka.admin(), work)

function create(topic, partitions, configs = {}) {
  const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value: String(value) }))
  return withAdmin(a => a.createTopics({ timeout: STEP_MS, topics: [{ topic, numPartitions: partitions, configEntries }] }))
}

// send writes messages, each with its partition, in one request.
function send(topic, messages, { producer = {}, ...options } = {}) {
  const byPartition = () => ({ message }) => message.partition
  return using(kafka.producer({ createPartitioner: byPartition, allowAutoTopicCreation: false, ...producer }), p =>
    p.send({ topic, messages, ...options })
  )
}

// What every client writes and reads

async function write(topic, codec, manifest) {
  await create(topic, 3, { 'retention.ms': -1 })
  await send(topic, manifest, { compression: CODECS[codec], producer: { idempotent: true, maxInFlightRequests: 1 } })
}

async function read(topic) {
  const makeCluster = Object.getOwnPropertySymbols(kafka).find(s => s.description === 'private:Kafka:createCluster')
  return using(kafka[makeCluster]({ allowAutoTopicCreation: false }), async cluster => {
    await cluster.addTargetTopic(topic)
    const offsets = await withAdmin(a => a.fetchTopicOffsets(topic))
    const found = []
    for (const { partition, low, high } of offsets.sort((a, b) => a.partition - b.partition)) {
      found.push(...(await readPartition(cluster, topic, partition, Number(low), Number(high))))
    }
    return found
  })
}

async function readPartition(cluster, topic, partition, from, end) {
  const leader = cluster.findTopicPartitionMetadata(topic).find(p => p.partitionId === partition).leader
  const broker = await cluster.findBroker({ nodeId: String(leader) })
  const found = []
  const deadline = Date.now() + STEP_MS
  while (from < end) {
    if (Date.now() > deadline) throw new Error(`partition ${partition}: at ${from} of ${end}`)
    const partitions = [{ partition, fetchOffset: String(from), maxBytes: 1 << 20 }]
    const answer = await broker.fetch({ maxWaitTime: 200, minBytes: 1, maxBytes: 4 << 20, isolationLevel: 0, topics: [{ topic, partitions }] })
    for (const m of answer.responses[0].partitions[0].messages) {
      if (Number(m.offset) < from) continue // a batch is sent whole, from its first record
      found.push({ partition, ...m })
      from = Number(m.offset) + 1
    }
  }
  return found
}

const bytes = s => (s === '-' ? null : Buffer.from(s, 'hex'))
const hex = b => (b === null || b === undefined ? '-' : Buffer.from(b).toString('hex'))

function readManifest(file) {
  return fs.readFileSync(file, 'utf8').split('\n').slice(0, -1).map(line => {
    const [partition, timestamp, key, value, heads] = line.split('\t')
    const headers = {}
    for (const [name, v] of heads.split(';').filter(h => h).map(h => h.split('='))) {
      const n = bytes(name).toString()
    const b = bytes(v) ?? Buffer.alloc(0) // kafkajs cannot write a null here
      headers[n] = n in headers ? [].concat(headers[n], b) : b
    }
    return { partition: Number(partition), timestamp, key: bytes(key), value: bytes(value), headers }
  })
}

function writeManifest(file, messages) {
  const lines = messages.map(m => {
    const heads = Object.entries(m.headers).flatMap(([n, v]) => [].concat(v).map(x => `${hex(n)}=${hex(x)}`))
    return `${m.partition}\t${m.timestamp}\t${hex(m.key)}\t${hex(m.value)}\t${heads.join(';')}\n`
  })
  fs.writeFileSync(file, lines.join(''))
}

// Cases

const numbers = () => Array.from({ length: 100 }, (_, i) => ({ partition: i % 2, value: String(i) }))

async function produceAndCount(name, options) {
  const topic = `${RUN}-kafkajs-${name}`
  await create(topic, 2)
  await send(topic, numbers(), options)
  let got = await read(topic)
  for (const start = Date.now(); got.length < 100 && Date.now() - start < STEP_MS; ) got = await read(topic) // acks 0
  const due = numbers().sort((a, b) => a.partition - b.partition)
  equal(got.map(m => String(m.value)), due.map(m => m.value))
}

async function sized(name, size, configs) {
  const topic = `${RUN}-kafkajs-${name}`
  await create(topic, 1, configs)
  await send(topic, [{ partition: 0, value: Buffer.alloc(size) }])
}

async function topicLife() {
  const topic = `${RUN}-kafkajs-life`
  await withAdmin(async a => {
    const ask = { timeout: STEP_MS, topics: [{ topic, numPartitions: 5 }] }
    equal(await a.createTopics({ ...ask, validateOnly: true, waitForLeaders: false }), true)
    equal((await a.listTopics()).includes(topic), false)
    equal(await a.createTopics(ask), true)
    equal(await a.createTopics(ask), false) // it exists already
    equal((await a.listTopics()).includes(topic), true)
    const { partitions } = (await a.fetchTopicMetadata({ topics: [topic] })).topics[0]
    equal(partitions.map(p => p.partitionId).sort(), [0, 1, 2, 3, 4])
    for (const p of partitions) equal([p.replicas, p.isr], [[p.leader], [p.leader]])
    await a.deleteTopics({ topics: [topic], timeout: STEP_MS })
    for (const start = Date.now(); (await a.listTopics()).includes(topic); ) {
      if (Date.now() - start > STEP_MS) throw new Error('deleted, and still listed')
    }
    await fails('UNKNOWN_TOPIC_OR_PARTITION', () => a.deleteTopics({ topics: [topic] }))
    const { brokers, controller } = await a.describeCluster()
    equal(brokers.map(b => b.nodeId).includes(controller), true)
  })
}

async function refusedTopics() {
  await fails('INVALID_TOPIC_EXCEPTION', () => create('no spaces', 1))
  await fails('INVALID_PARTITIONS', () => create(`${RUN}-kafkajs-never`, 0))
  await fails('INVALID_CONFIG', () => create(`${RUN}-kafkajs-never`, 1, { 'no.such.config': 1 }))
}

async function createPartitions() {
  const topic = `${RUN}-kafkajs-wider`
  await create(topic, 2)
  await withAdmin(async a => {
    await a.createPartitions({ topicPartitions: [{ topic, count: 6 }], timeout: STEP_MS })
    await fails('INVALID_PARTITIONS', () => a.createPartitions({ topicPartitions: [{ topic, count: 3 }] }))
  })
  await send(topic, [{ partition: 5, value: 'v' }])
}

async function listOffsets() {
  const topic = `${RUN}-kafkajs-offsets`
  const first = 1_760_000_000_000
  await create(topic, 1, { 'retention.ms': -1 })
  for (let i = 0; i < 10; i++) await send(topic, [{ partition: 0, value: 'v', timestamp: String(first + i * 1000) }])
  await withAdmin(async a => {
    equal(await a.fetchTopicOffsets(topic), [{ partition: 0, offset: '10', high: '10', low: '0' }])
    for (const [at, due] of [[1, '0'], [first + 3000, '3'], [first + 3001, '4'], [first + 9001, '10']]) {
      equal(await a.fetchTopicOffsetsByTimestamp(topic, at), [{ partition: 0, offset: due }])
    }
  })
}

const CASES = {
  'acks 0': () => produceAndCount('acks0', { acks: 0 }),
  'acks 1': () => produceAndCount('acks1', { acks: 1 }),
  'acks all': () => produceAndCount('acksall', { acks: -1 }),
  idempotent: () => produceAndCount('idempotent', { producer: { idempotent: true, maxInFlightRequests: 1 } }),
  'a record that just fits': () => sized('fits', MAX_FITTING_VALUE),
  'a record one byte too large': () => fails('MESSAGE_TOO_LARGE', () => sized('over', MAX_FITTING_VALUE + 1)),
  'create, list, describe and delete a topic': topicLife,
  'refused topics': refusedTopics,
  'create partitions': createPartitions,
  'list offsets': listOffsets,
}

// Checks

function equal(got, want) {
  const [g, w] = [JSON.stringify(got), JSON.stringify(want)]
  if (g !== w) throw new Error(`got ${g}, want ${w}`)
}

async function fails(type, work) {
  try {
    await work()
  } catch (e) {
    const all = [e, e.cause, ...(e.errors || [])].filter(x => x).map(x => x.type)
    if (!all.includes(type)) throw new Error(`got ${all} (${e.message}), want ${type}`)
    return
  }
  throw new Error(`succeeded, want ${type}`)
}

let failed = 0

async function report(name, work) {
  try {
    await work()
    console.log(`PASS kafkajs: ${name}`)
  } catch (e) {
    failed++
    console.log(`FAIL kafkajs: ${name}: ${e.message.replaceAll('\n', ' ')}`)
    console.error(e)
  }
}

async function main([verb, ...args]) {
  if (verb === 'cases') {
    for (const [name, work] of Object.entries(CASES)) await report(name, work)
  } else if (verb === 'write') {
    const manifest = readManifest(args[0])
    for (const codec of Object.keys(CODECS)) await report(`writes ${codec}`, () => write(`${RUN}-kafkajs-${codec}`, codec, manifest))
  } else if (verb === 'read') {
    for (const topic of args.slice(1)) {
      try {
        writeManifest(path.join(args[0], `${topic}.tsv`), await read(topic))
      } catch (e) { // the runner misses the file and says so
        console.error(`kafkajs reads ${topic}:`, e)
      }
    }
  } else {
    throw new Error('usage: node kafkajs.js cases | write FILE | read DIR TOPIC…')
  }
  process.exit(failed ? 1 : 0)
}

main(process.argv.slice(2)).catch(e => {
  console.error(e)
  process.exit(1)
})
