// Produces a key and a value of each type with Confluent's Avro serializer for JavaScript to a topic
// that validates both.
//
//     serializers.js REGISTRY_URL BOOTSTRAP
//
// Prints one `output` event per type: {call, result}. The result is the serialized datum in
// hexadecimal, without its prefix, or the error of the record.
'use strict'

const { Kafka, Partitioners, logLevel } = require('kafkajs')
const { SchemaRegistryClient, AvroSerializer, SerdeType } = require('@confluentinc/schemaregistry')

const PREFIX_BYTES = 5
const [url, bootstrap] = process.argv.slice(2)
const bytes = Buffer.from([8, 1, 255])
const cases = [
  ['null', '"null"', null],
  ['boolean', '"boolean"', true],
  ['int', '"int"', -1],
  ['long', '"long"', 2 ** 40],
  ['double', '"double"', 1.5],
  ['bytes', '"bytes"', bytes],
  ['bytes object', '{"type":"bytes"}', bytes],
  ['bytes with attributes', '{"type":"bytes","owner":"shop"}', bytes],
  ['string', '"string"', 'hé'],
  ['Java string', '{"type":"string","avro.java.string":"String"}', 'hé'],
  ['fixed', '{"type":"fixed","name":"F","size":2}', Buffer.from([0, 255])],
  ['enum', '{"type":"enum","name":"E","symbols":["A","B"]}', 'B'],
  ['array', '{"type":"array","items":"string"}', ['a']],
  ['map', '{"type":"map","values":"bytes"}', { k: Buffer.from([255]) }],
  ['record', '{"type":"record","name":"R","fields":[{"name":"b","type":"bytes"}]}', { b: bytes }],
]

async function main() {
  const registry = new SchemaRegistryClient({ baseURLs: [url] })
  const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING, retry: { retries: 0 } })
  const admin = kafka.admin()
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
  await admin.connect()
  await producer.connect()
  const configEntries = ['key', 'value'].map((part) => ({
    name: `avouch.${part}.validation`,
    value: 'payload',
  }))
  for (const [number, [name, schema, value]] of cases.entries()) {
    const topic = `case-${number}`
    await admin.createTopics({ topics: [{ topic, numPartitions: 1, configEntries }] })
    const serialize = async (type, part) => {
      await registry.register(`${topic}-${part}`, { schema, schemaType: 'AVRO' })
      const serializer = new AvroSerializer(registry, type, { useLatestVersion: true })
      return serializer.serialize(topic, value)
    }
    let result
    try {
      const key = await serialize(SerdeType.KEY, 'key')
      const datum = await serialize(SerdeType.VALUE, 'value')
      await producer.send({ topic, messages: [{ key, value: datum }] })
      result = datum === null ? 'null' : datum.subarray(PREFIX_BYTES).toString('hex')
    } catch (error) {
      result = error.message
    }
    process.stdout.write(`${JSON.stringify({ event: 'output', call: name, result })}\n`)
  }
  await producer.disconnect()
  await admin.disconnect()
}

main()
