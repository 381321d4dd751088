"""Runs the same calls with confluent-kafka's blocking and async registry clients, and with their Avro
serializers and deserializers.

    registry.py sync|async REGISTRY_URL SCHEMA_FOLDER INCOMPATIBLE_SCHEMA_FILE

Prints one `output` event per call: {call, result}. The result of an error response is "STATUS CODE".
"""

import asyncio
import inspect
import sys
from pathlib import Path

from confluent_kafka.schema_registry import (
    AsyncSchemaRegistryClient,
    Schema,
    SchemaRegistryClient,
    SchemaRegistryError,
)
from confluent_kafka.schema_registry.avro import (
    AsyncAvroDeserializer,
    AsyncAvroSerializer,
    AvroDeserializer,
    AvroSerializer,
)
from confluent_kafka.schema_registry.common.schema_registry_client import (
    AssociationCreateOrUpdateInfo,
    AssociationCreateOrUpdateRequest,
    ConfigCompatibilityLevel,
    Metadata,
    MetadataProperties,
    SchemaReference,
    ServerConfig,
)
from confluent_kafka.schema_registry.error import SchemaRegistryError as SerdeError
from confluent_kafka.serialization import MessageField, SerializationContext, SerializationError

from wire import emit

SUBJECT = "payments-value"
MONEY = '{"type":"record","name":"Money","fields":[{"name":"cents","type":"long"}]}'
PRICED = '{"type":"record","name":"Priced","fields":[{"name":"price","type":"Money"}]}'
CLIENTS = {"sync": SchemaRegistryClient, "async": AsyncSchemaRegistryClient}
SERIALIZERS = {"sync": AvroSerializer, "async": AsyncAvroSerializer}
DESERIALIZERS = {"sync": AvroDeserializer, "async": AsyncAvroDeserializer}


async def main(kind, url, schemas, incompatible):
    client = CLIENTS[kind]({"url": url})
    first, second = [Schema((Path(schemas) / f"{n}.avsc").read_text(), "AVRO") for n in (1, 2)]
    wrong = Schema(Path(incompatible).read_text(), "AVRO")

    async def call(name, *args, show=lambda result: result, **named):
        """Clears the client's caches first, so that each call reaches the registry."""
        await settled(client.clear_caches())
        await report(name, lambda: getattr(client, name)(*args, **named), show)

    await subjects(call, first, second, wrong)
    await references_and_metadata(call)
    await settings(call, first)
    await associations(call)
    await deletes(call)
    await serdes(kind, client)


async def settled(result):
    """Awaits the result of the async client; returns that of the blocking client."""
    return await result if inspect.isawaitable(result) else result


async def report(name, request, show=lambda result: result):
    try:
        result = show(await settled(request()))
    except (SchemaRegistryError, SerdeError) as error:
        result = f"{error.http_status_code} {error.error_code}"
    except SerializationError as error:
        result = type(error).__name__
    emit("output", call=name, result=result)


async def subjects(call, first, second, wrong):
    await call("get_schema_types")
    await call("get_subjects")
    await call("get_global_mode")
    await call("get_compatibility")
    await call("register_schema", SUBJECT, first)
    await call("register_schema", SUBJECT, first)
    await call("register_schema_full_response", SUBJECT, first, show=identity)
    await call("get_schema", 1, show=lambda schema: "Payment" in schema.schema_str)
    await call("lookup_schema", SUBJECT, first, show=identity)
    await call("lookup_schema", SUBJECT, second, show=identity)
    await call("test_compatibility", SUBJECT, second)
    await call("test_compatibility", SUBJECT, wrong)
    await call("test_compatibility_all_versions", SUBJECT, second)
    await call("test_compatibility_all_versions", SUBJECT, wrong)
    await call("register_schema", SUBJECT, wrong)
    await call("register_schema", SUBJECT, second)
    await call("get_latest_version", SUBJECT, show=identity)
    await call("get_version", SUBJECT, 1, show=identity)
    await call("get_versions", SUBJECT)
    await call("get_subjects_by_schema_id", 2)
    await call("get_schema_versions", 2, show=lambda all: [[v.subject, v.version] for v in all])
    await call("set_compatibility", SUBJECT, "FULL", show=lambda level: level["compatibility"])
    await call("get_compatibility", SUBJECT)
    await call("get_subjects")
    await call("get_subjects", subject_prefix="orders")
    await call("get_schema", 99)
    await call("get_versions", "unknown")
    await call("get_version", SUBJECT, 9)
    await call("register_schema", "broken", Schema('{"type": "recrod"}', "AVRO"))


async def references_and_metadata(call):
    guid = None

    def keep(registered):
        nonlocal guid
        guid = registered.guid
        return identity(registered)

    await call("register_schema", "money", Schema(MONEY, "AVRO"))
    reference = SchemaReference("Money", "money", 1)
    major = Metadata(None, MetadataProperties({"major": "1"}), None)
    priced = Schema(PRICED, "AVRO", [reference], metadata=major)
    await call("register_schema_full_response", "priced-value", priced, show=identity)
    await call("get_version", "priced-value", 1, show=keep)
    await call("get_schema_by_guid", guid, show=lambda schema: schema.references[0].subject)
    await call("get_schema_by_guid", "0" * 32)
    await call("get_referenced_by", "money", 1)
    await call("get_latest_with_metadata", "priced-value", {"major": "1"}, show=identity)
    await call("get_latest_with_metadata", "priced-value", {"major": "2"}, show=identity)
    resolved = {"fmt": "resolved"}
    await call("get_schema", 4, show=lambda schema: "cents" in schema.schema_str, **resolved)
    await call("delete_subject", "money")


async def settings(call, first):
    config = ServerConfig(
        compatibility=ConfigCompatibilityLevel.FULL_TRANSITIVE, compatibility_group="major"
    )
    stored = lambda config: [config["compatibility"], config.get("compatibilityGroup")]
    await call("set_config", "orders-value", config, show=stored)
    await call("get_config", "orders-value", show=effective)
    await call("delete_config", "orders-value", show=effective)
    await call("get_config", "orders-value")
    default = ServerConfig(compatibility=ConfigCompatibilityLevel.FORWARD)
    await call("set_config", None, default, show=stored)
    await call("get_config", show=effective)
    await call("delete_config", show=effective)
    await call("get_compatibility")
    await call("get_mode", SUBJECT)
    await call("update_mode", SUBJECT, "READONLY")
    await call("get_mode", SUBJECT)
    await call("register_schema", SUBJECT, Schema('"string"', "AVRO"))
    await call("delete_mode", SUBJECT)
    await call("update_mode", SUBJECT, "SIDEWAYS")
    await call("update_global_mode", "READONLY")
    await call("get_global_mode")
    await call("register_schema", "late-value", first)
    await call("update_global_mode", "READWRITE")
    await call("register_schema", ":.elsewhere:orders-value", first)
    await call("get_contexts")


async def associations(call):
    await call("get_associations_by_resource_name", "payments", "-")
    wanted = AssociationCreateOrUpdateRequest(
        "payments", "-", "payments-id", "topic", [AssociationCreateOrUpdateInfo(SUBJECT, "value")]
    )
    await call("create_association", wanted)
    await call("delete_associations", "payments-id")


async def deletes(call):
    await call("delete_version", SUBJECT, 1, permanent=True)
    await call("delete_version", SUBJECT, 1)
    await call("delete_version", SUBJECT, 1)
    await call("get_versions", SUBJECT)
    await call("get_versions", SUBJECT, deleted=True)
    await call("get_versions", SUBJECT, deleted_only=True)
    await call("delete_version", SUBJECT, 1, permanent=True)
    await call("delete_subject", SUBJECT)
    await call("delete_subject", SUBJECT, permanent=True)
    await call("get_versions", SUBJECT)


async def serdes(kind, client):
    """Round trips of a datum: schema registered by the serializer, latest version, schema with a
    reference; then a schema that is not registered, and an unknown id."""
    value = SerializationContext("receipts", MessageField.VALUE)

    async def both(serializer, datum, context=value):
        reader = await settled(DESERIALIZERS[kind](client))
        framed = await settled(serializer(datum, context))
        return await settled(reader(framed, context))

    writer = await settled(SERIALIZERS[kind](client, MONEY))
    await report("serialize", lambda: both(writer, {"cents": 5}))
    latest = {"auto.register.schemas": False, "use.latest.version": True}
    writer = await settled(SERIALIZERS[kind](client, MONEY, conf=latest))
    await report("use.latest.version", lambda: both(writer, {"cents": 6}))
    known = {"auto.register.schemas": False}
    writer = await settled(SERIALIZERS[kind](client, MONEY, conf=known))
    unknown = SerializationContext("unknown", MessageField.VALUE)
    await report("auto.register.schemas", lambda: both(writer, {"cents": 7}, unknown))
    schema = Schema(PRICED, "AVRO", [SchemaReference("Money", "money", 1)])
    writer = await settled(SERIALIZERS[kind](client, schema))
    priced = SerializationContext("bills", MessageField.VALUE)
    await report("references", lambda: both(writer, {"price": {"cents": 8}}, priced))
    reader = await settled(DESERIALIZERS[kind](client))
    await report("unknown id", lambda: reader(b"\x00\x00\x00\x03\xe7\x02", value))


def effective(config):
    config = config if isinstance(config, dict) else config.to_dict()
    return [config["compatibilityLevel"], config.get("compatibilityGroup")]


def identity(registered):
    return [registered.subject, registered.version, registered.schema_id]


asyncio.run(main(*sys.argv[1:]))
