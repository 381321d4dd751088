"""confluent-kafka's registry clients, blocking and async, through the same calls.

    registry.py sync|async REGISTRY_URL SCHEMA_FOLDER INCOMPATIBLE_SCHEMA_FILE

One `told` event a call: {call, result}, a refusal's result being "STATUS CODE".
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

from wire import say

SUBJECT = "payments-value"


async def main(kind, url, schemas, incompatible):
    client = {"sync": SchemaRegistryClient, "async": AsyncSchemaRegistryClient}[kind]({"url": url})
    first, second = [Schema((Path(schemas) / f"{n}.avsc").read_text(), "AVRO") for n in (1, 2)]
    wrong = Schema(Path(incompatible).read_text(), "AVRO")

    async def call(name, *args, show=lambda result: result):
        """Asks past the client's caches, so that each call reaches the registry."""
        client.clear_caches()
        try:
            result = getattr(client, name)(*args)
            result = show(await result if inspect.isawaitable(result) else result)
        except SchemaRegistryError as error:
            result = f"{error.http_status_code} {error.error_code}"
        say("told", call=name, result=result)

    await call("get_schema_types")
    await call("get_subjects")
    await call("get_global_mode")
    await call("get_compatibility")
    await call("register_schema", SUBJECT, first)
    await call("register_schema", SUBJECT, first)
    await call("get_schema", 1, show=lambda schema: "Payment" in schema.schema_str)
    await call("lookup_schema", SUBJECT, first, show=place)
    await call("lookup_schema", SUBJECT, second, show=place)
    await call("test_compatibility", SUBJECT, second)
    await call("test_compatibility", SUBJECT, wrong)
    await call("register_schema", SUBJECT, wrong)
    await call("register_schema", SUBJECT, second)
    await call("get_latest_version", SUBJECT, show=place)
    await call("get_version", SUBJECT, 1, show=place)
    await call("get_versions", SUBJECT)
    await call("get_subjects_by_schema_id", 2)
    await call("set_compatibility", SUBJECT, "FULL", show=lambda level: level["compatibility"])
    await call("get_compatibility", SUBJECT)
    await call("get_subjects")
    await call("get_schema", 99)
    await call("get_versions", "nobody")
    await call("get_version", SUBJECT, 9)
    await call("register_schema", "broken", Schema('{"type": "recrod"}', "AVRO"))
    await call("get_associations_by_resource_name", "payments", "-")


def place(registered):
    return [registered.subject, registered.version, registered.schema_id]


asyncio.run(main(*sys.argv[1:]))
