// kafkajs as a producer, a consumer without a group, a group member, an admin. Commands and events
// are those of ../python/wire.py.
'use strict'

const { parseArgs } = require('node:util')
const { randomUUID } = require('node:crypto')
const {
  Kafka,
  CompressionTypes,
  CompressionCodecs,
  KafkaJSProtocolError,
  Partitioners,
  logLevel,
} = require('kafkajs')
const snappy = require('kafkajs-snappy')
const lz4 = require('lz4-napi')
const { ZstdCodec } = require('zstd-codec')

const text = { type: 'string' }
const { values: args, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    bootstrap: text,
    topic: text,
    group: text,
    codecs: { ...text, default: 'none' },
    idempotent: { type: 'boolean', default: false },
    count: text,
    prefix: { ...text, default: 'value' },
    partition: text,
    from: { ...text, default: '0' },
    key: text,
    'timeout-ms': { ...text, default: '30000' },
    'values-hex': text,
    partitions: { ...text, default: '1' },
    replication: { ...text, default: '1' },
  },
})
const count = args.count === undefined ? undefined : Number(args.count)
const kafka = new Kafka({
  brokers: [args.bootstrap],
  clientId: 'kafkajs-test',
  logLevel: logLevel.NOTHING,
})

async function main() {
  const commands = { produce, consume, group, create }
  await addCodecs()
  await commands[positionals[0]]()
  emit('done')
}

// kafkajs includes gzip; its documentation describes how to register the other codecs.
async function addCodecs() {
  const zstd = await new Promise(resolve => ZstdCodec.run(resolve))
  const { Streaming } = zstd
  CompressionCodecs[CompressionTypes.Snappy] = snappy
  CompressionCodecs[CompressionTypes.LZ4] = () => ({
    compress: async encoder => lz4.compressFrame(encoder.buffer),
    decompress: async buffer => lz4.decompressFrame(buffer),
  })
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: async encoder => Buffer.from(new Streaming().compress(encoder.buffer)),
    decompress: async buffer => Buffer.from(new Streaming().decompress(buffer)),
  })
}

const codecs = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
}

async function produce() {
  const producer = kafka.producer({
    idempotent: args.idempotent,
    maxInFlightRequests: args.idempotent ? 1 : undefined,
    createPartitioner: Partitioners.DefaultPartitioner,
    retry: { retries: 5 },
  })
  await producer.connect()
  for (const name of args.codecs.split(',')) await sendAll(producer, name)
  await producer.disconnect()
}

// One send is one batch per partition; its response contains the base offset of each.
async function sendAll(producer, codec) {
  const sent = payloads(codec)
  const partition = args.partition === undefined ? 0 : Number(args.partition)
  const messages = sent.map(([, value]) => ({ value, key: args.key ?? null, partition }))
  try {
    const [{ baseOffset }] = await producer.send({
      topic: args.topic,
      acks: -1,
      timeout: Number(args['timeout-ms']),
      compression: codecs[codec],
      messages,
    })
    sent.forEach(([value], i) => {
      emit('acked', { value, partition, offset: Number(baseOffset) + i })
    })
  } catch (error) {
    const cause = error instanceof KafkaJSProtocolError ? error : (error.cause ?? error)
    for (const [value] of sent) {
      emit('failed', { value, code: cause.code ?? null, text: `${cause.type}: ${cause.message}` })
    }
  }
}

function payloads(codec) {
  if (args['values-hex'] !== undefined) {
    return args['values-hex'].split(',').map(hex => [hex, Buffer.from(hex, 'hex')])
  }
  const tail = ' and so on'.repeat(12)
  const names = Array.from({ length: count }, (_, i) => `${args.prefix}-${codec}-${i}${tail}`)
  return names.map(name => [name, Buffer.from(name)])
}

// kafkajs can only consume in a group, so this uses a new group. Without a count it reads to the
// current ends of the partitions.
async function consume() {
  const admin = kafka.admin()
  await admin.connect()
  const ends = await admin.fetchTopicOffsets(args.topic)
  await admin.disconnect()
  const wanted = new Map()
  for (const { partition, high, low } of ends) {
    const selected = args.partition === undefined || partition === Number(args.partition)
    // An empty partition delivers no record that could mark its end.
    if (selected && Number(high) > Number(low)) wanted.set(partition, Number(high))
  }
  if (count === undefined && wanted.size === 0) return
  await read({
    groupId: `alone-${randomUUID()}`,
    skip: ({ partition, offset }) => !wanted.has(partition) || offset < Number(args.from),
    isLast: ({ partition, offset, seen }) => {
      if (count !== undefined) return seen === count
      if (offset + 1 >= wanted.get(partition)) wanted.delete(partition)
      return wanted.size === 0
    },
  })
}

async function group() {
  await read({ groupId: args.group, skip: () => false, isLast: ({ seen }) => seen === count })
}

async function read({ groupId, skip, isLast }) {
  const consumer = kafka.consumer({
    groupId,
    sessionTimeout: 6000,
    heartbeatInterval: 500,
    rebalanceTimeout: 6000,
  })
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    const partitions = payload.memberAssignment[args.topic] ?? []
    emit('assigned', { partitions: [...partitions].sort((a, b) => a - b) })
  })
  const crashed = new Promise((_, reject) => {
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      if (!payload.restart) reject(payload.error)
    })
  })
  await consumer.connect()
  await consumer.subscribe({ topics: [args.topic], fromBeginning: true })
  let seen = 0
  let over = false
  const finished = new Promise(resolve => {
    consumer.run({
      autoCommit: false,
      eachMessage: async ({ topic, partition, message }) => {
        const offset = Number(message.offset)
        // Messages of the current batch are still delivered after the last wanted one.
        if (over || skip({ partition, offset })) return
        seen += 1
        const key = message.key === null ? null : message.key.toString()
        emit('record', { partition, offset, key, value: message.value.toString() })
        await consumer.commitOffsets([{ topic, partition, offset: String(offset + 1) }])
        if (isLast({ partition, offset, seen })) {
          over = true
          resolve()
        }
      },
    })
  })
  await Promise.race([finished, crashed])
  await consumer.disconnect()
}

async function create() {
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({
    topics: [
      {
        topic: args.topic,
        numPartitions: Number(args.partitions),
        replicationFactor: Number(args.replication),
      },
    ],
  })
  await admin.disconnect()
  emit('created')
}

// Prints one event immediately: the test waits for it.
function emit(event, fields = {}) {
  process.stdout.write(JSON.stringify({ event, ...fields }) + '\n')
}

main().then(
  () => process.exit(0),
  error => {
    console.error(error)
    process.exit(1)
  },
)
