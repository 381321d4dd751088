"""Produces a key and a value of each type with confluent-kafka's Avro serializer to a topic that
validates both.

    serializers.py REGISTRY_URL BOOTSTRAP

Prints one `output` event per type: {call, result}. The result is the serialized datum in hexadecimal,
without its prefix, or the error of the record.
"""

import sys

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from wire import emit

PREFIX_BYTES = 5
CASES = [
    ("null", '"null"', None),
    ("boolean", '"boolean"', True),
    ("int", '"int"', -1),
    ("long", '"long"', 1 << 40),
    ("float", '"float"', 1.5),
    ("double", '"double"', 1.5),
    ("bytes", '"bytes"', b"\x08\x01\xff"),
    ("empty bytes", '"bytes"', b""),
    ("bytes object", '{"type":"bytes"}', b"\x08\x01\xff"),
    ("bytes with attributes", '{"type":"bytes","owner":"shop"}', b"\x08\x01\xff"),
    ("string", '"string"', "h\u00e9"),
    ("Java string", '{"type":"string","avro.java.string":"String"}', "h\u00e9"),
    ("fixed", '{"type":"fixed","name":"F","size":2}', b"\x00\xff"),
    ("enum", '{"type":"enum","name":"E","symbols":["A","B"]}', "B"),
    ("array", '{"type":"array","items":"string"}', ["a"]),
    ("map", '{"type":"map","values":"bytes"}', {"k": b"\xff"}),
    ("union", '["null","string"]', "a"),
    ("bytes in a union", '["null","bytes"]', b"\xff"),
    ("record", '{"type":"record","name":"R","fields":[{"name":"b","type":"bytes"}]}', {"b": b"\xff"}),
]


def main(url, bootstrap):
    registry = SchemaRegistryClient({"url": url})
    admin = AdminClient({"bootstrap.servers": bootstrap})
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
    validated = {f"avouch.{part}.validation": "payload" for part in ("key", "value")}
    for number, (name, schema, value) in enumerate(CASES):
        topic = f"case-{number}"
        admin.create_topics([NewTopic(topic, 1, 1, config=validated)])[topic].result()
        serializer = AvroSerializer(registry, schema)
        serialized = {
            field: serializer(value, SerializationContext(topic, field))
            for field in (MessageField.KEY, MessageField.VALUE)
        }
        errors = []
        producer.produce(
            topic,
            key=serialized[MessageField.KEY],
            value=serialized[MessageField.VALUE],
            on_delivery=lambda error, _: errors.append(error and error.str()),
        )
        producer.flush()
        datum = serialized[MessageField.VALUE]
        hexadecimal = "null" if datum is None else datum[PREFIX_BYTES:].hex()
        emit("output", call=name, result=errors[0] or hexadecimal)


main(*sys.argv[1:])
