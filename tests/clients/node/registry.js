// Runs the calls of two JavaScript registry clients, including their serializers.
//
//     registry.js confluent|kafkajs REGISTRY_URL SCHEMA_FOLDER INCOMPATIBLE_SCHEMA_FILE
//
// Prints one `output` event per call: {call, result}. The result of an error response is
// "STATUS CODE".
'use strict'

const { readFileSync } = require('node:fs')
const { join } = require('node:path')

const SUBJECT = 'payments-value'
const [kind, url, schemas, incompatible] = process.argv.slice(2)
const [first, second] = [1, 2].map((n) => readFileSync(join(schemas, `${n}.avsc`), 'utf8'))
const wrong = readFileSync(incompatible, 'utf8')

const emit = (call, result) =>
  process.stdout.write(`${JSON.stringify({ event: 'output', call, result })}\n`)

// The clients wrap error responses differently: the registry's error code is in one of these fields.
const errorCodes = (error) => {
  const status = error.status ?? error.response?.status
  const code = error.errorCode ?? error.code ?? error.response?.data?.error_code
  return `${status} ${code}`
}

async function call(name, request, show = (result) => result) {
  try {
    emit(name, show(await request()))
  } catch (error) {
    emit(name, errorCodes(error))
  }
}

async function confluent() {
  const {
    SchemaRegistryClient,
    AvroSerializer,
    AvroDeserializer,
    SerdeType,
  } = require('@confluentinc/schemaregistry')
  const client = new SchemaRegistryClient({ baseURLs: [url] })
  const avro = (schema) => ({ schema, schemaType: 'AVRO' })
  const place = (found) => [found.subject, found.version, found.id]
  await call('getAllSubjects', () => client.getAllSubjects())
  await call('getDefaultCompatibility', () => client.getDefaultCompatibility())
  await call('register', () => client.register(SUBJECT, avro(first)))
  await call('register', () => client.register(SUBJECT, avro(first), true))
  await call('getId', () => client.getId(SUBJECT, avro(first)))
  await call('getBySubjectAndId', () => client.getBySubjectAndId('', 1), (found) =>
    found.schema.includes('Payment'))
  await call('testCompatibility', () => client.testCompatibility(SUBJECT, -1, avro(second)))
  await call('testSubjectCompatibility', () =>
    client.testSubjectCompatibility(SUBJECT, avro(wrong)))
  await call('register', () => client.register(SUBJECT, avro(wrong)))
  await call('register', () => client.register(SUBJECT, avro(second)))
  await call('getAllVersions', () => client.getAllVersions(SUBJECT))
  await call('getLatestSchemaMetadata', () => client.getLatestSchemaMetadata(SUBJECT), place)
  await call('getSchemaMetadata', () => client.getSchemaMetadata(SUBJECT, 1), place)
  await call('getVersion', () => client.getVersion(SUBJECT, avro(second)))
  await call('updateCompatibility', () => client.updateCompatibility(SUBJECT, 'FULL'))
  await call('updateConfig', () =>
    client.updateConfig(SUBJECT, { compatibilityGroup: 'major' }), (config) =>
    [config.compatibility ?? config.compatibilityLevel, config.compatibilityGroup])
  await call('getConfig', () => client.getConfig(SUBJECT), (config) => config.compatibilityLevel)
  await call('getAllVersions', () => client.getAllVersions('unknown'))
  await call('register', () => client.register('broken', avro('{"type": "recrod"}')))
  await call('getAssociationsByResourceName', () =>
    client.getAssociationsByResourceName('payments', 'default', 'topic', ['value'], '', 0, -1))
  const greeting = '{"type":"record","name":"G","fields":[{"name":"text","type":"string"}]}'
  await client.register('greetings-value', avro(greeting))
  const serializer = new AvroSerializer(client, SerdeType.VALUE, { useLatestVersion: true })
  const deserializer = new AvroDeserializer(client, SerdeType.VALUE, {})
  await call('serialize', async () =>
    deserializer.deserialize('greetings', await serializer.serialize('greetings', { text: 'hi' })),
    (datum) => datum.text)
  await more(client, avro, place)
  await call('deleteSubjectVersion', () => client.deleteSubjectVersion(SUBJECT, 1))
  await call('deleteSubject', () => client.deleteSubject(SUBJECT))
  await call('deleteSubject', () => client.deleteSubject(SUBJECT, true))
  await call('deleteSubject', () => client.deleteSubject(SUBJECT, true))
}

// Full responses, GUIDs, metadata, the default configuration, associations.
async function more(client, avro, place) {
  const bound = { properties: { major: '1' } }
  const text = '{"type":"record","name":"B","fields":[{"name":"sum","type":"long"}]}'
  const bill = { ...avro(text), metadata: bound }
  let guid
  const keep = (found) => {
    guid = found.guid
    return place(found)
  }
  await call('registerFullResponse', () => client.registerFullResponse('bills-value', bill), (r) =>
    r.id)
  await call('getIdFullResponse', () => client.getIdFullResponse('bills-value', bill), place)
  await call('getSchemaMetadata', () => client.getSchemaMetadata('bills-value', 1), keep)
  await call('getByGuid', () => client.getByGuid(guid), (found) => found.metadata)
  await call('getByGuid', () => client.getByGuid('00000000-0000-0000-0000-000000000000'))
  const withMajor = (major) => () => client.getLatestWithMetadata('bills-value', { major })
  await call('getLatestWithMetadata', withMajor('1'), place)
  await call('getLatestWithMetadata', withMajor('2'), place)
  await call('getCompatibility', () => client.getCompatibility(SUBJECT))
  await call('getCompatibility', () => client.getCompatibility('unknown'))
  await call('updateDefaultCompatibility', () => client.updateDefaultCompatibility('FORWARD'))
  await call('updateDefaultConfig', () =>
    client.updateDefaultConfig({ compatibility: 'BACKWARD', normalize: true }), (config) =>
    [config.compatibility ?? config.compatibilityLevel, config.normalize])
  await call('getDefaultConfig', () => client.getDefaultConfig(), (config) =>
    [config.compatibilityLevel, config.normalize])
  const association = { subject: 'bills-value', associationType: 'value' }
  await call('createAssociation', () => client.createAssociation({
    resourceName: 'bills', resourceNamespace: 'default', resourceId: 'bills-id',
    resourceType: 'topic', associations: [association],
  }))
  await call('deleteAssociations', () => client.deleteAssociations('bills-id', null, null, false))
}

async function kafkajs() {
  const { SchemaRegistry, SchemaType } = require('@kafkajs/confluent-schema-registry')
  const registry = new SchemaRegistry({ host: url, retry: { retries: 0 } })
  const avro = (schema) => ({ type: SchemaType.AVRO, schema })
  const subject = { subject: SUBJECT }
  const id = (registered) => registered.id
  await call('register', () => registry.register(avro(first), subject), id)
  await call('register', () => registry.register(avro(first), subject), id)
  await call('register', () => registry.register(avro(second), subject), id)
  await call('register', () => registry.register(avro(wrong), subject))
  await call('getLatestSchemaId', () => registry.getLatestSchemaId(SUBJECT))
  await call('getRegistryId', () => registry.getRegistryId(SUBJECT, 1))
  await call('getRegistryIdBySchema', () => registry.getRegistryIdBySchema(SUBJECT, avro(first)))
  await call('getLatestSchemaId', () => registry.getLatestSchemaId('unknown'))
  const greeting = '{"type":"record","name":"G","fields":[{"name":"text","type":"string"}]}'
  const registered = await registry.register(avro(greeting), { subject: 'greetings-value' })
  await call('encode', async () =>
    registry.decode(await registry.encode(registered.id, { text: 'hi' })), (datum) => datum.text)
  await call('getSchema', () => registry.getSchema(99))
}

const run = { confluent, kafkajs }[kind]
run().catch((error) => {
  console.error(error)
  process.exit(1)
})
