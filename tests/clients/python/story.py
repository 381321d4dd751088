"""Quickstart: registers a schema, produces valid and invalid payments, registers two new versions.

    quickstart.py BOOTSTRAP REGISTRY_URL SCHEMA_FOLDER INCOMPATIBLE_SCHEMA_FILE

The README shows the output.
"""

import sys
import textwrap
from decimal import Decimal
from pathlib import Path

import requests
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

TOPIC, SUBJECT = "payments", "payments-value"
COUNT = 1_000
HEADERS = {"Content-Type": "application/vnd.schemaregistry.v1+json"}


def main(bootstrap, registry_url, schemas, incompatible):
    first, second = [(Path(schemas) / f"{n}.avsc").read_text() for n in (1, 2)]
    status, body = register(registry_url, first)
    print(f"register version 1 of {SUBJECT}: {status}, schema id {body['id']}")

    registry = SchemaRegistryClient({"url": registry_url})
    serialize = AvroSerializer(registry, first, conf={"auto.register.schemas": False})
    values = [serialize(payment(n), value_context()) for n in range(COUNT)]
    results = produce(bootstrap, values)
    # confluent-kafka reports a delivered record as the error None.
    print(f"produce {COUNT} payments: {results.count(None)} acknowledged")

    payments = consume(bootstrap, AvroDeserializer(registry))
    print(f"consume them in a group: {len(payments)} payments, first: {payments[0]['paymentId']}")

    before = end_offset(bootstrap)
    (truncated,) = produce(bootstrap, [values[0][:-3]])
    print(f"produce a truncated payment: {truncated.name()} ({truncated.code()})")
    other_id = register(registry_url, '"string"', subject="greetings-value")[1]["id"]
    # A value starts with a zero byte and the schema id in four bytes.
    value = values[0][:1] + other_id.to_bytes(4, "big") + values[0][5:]
    (rejected,) = produce(bootstrap, [value])
    print(f"produce a schema id of another subject: {rejected.name()} ({rejected.code()})")
    print("violations reported by the broker:")
    for violation in violations(registry_url):
        print(f"  {violation}")
    print(f"end offset before and after: {before}, {end_offset(bootstrap)}")

    status, body = register(registry_url, Path(incompatible).read_text())
    print(f"register an incompatible version: {status}")
    print(textwrap.indent(textwrap.fill(body["message"], 100), "  "))
    status, body = register(registry_url, second)
    print(f"register a compatible version: {status}, schema id {body['id']}")


def payment(number):
    return {
        "paymentId": f"p-{number:06}",
        "accountId": f"a-{number % 97:04}",
        "merchantId": f"m-{number % 13:02}",
        "amount": 100 + 7 * number,
        "exchangeRate": 1.0 + number / 1000,
        "currency": ["EUR", "USD", "GBP", "CHF", "JPY"][number % 5],
        "note": None if number % 3 else f"order {number}",
        "createdAt": 1_795_305_600_000 + number,
        "fee": Decimal("0.2500"),
        "settled": number % 2 == 0,
    }


def value_context():
    return SerializationContext(TOPIC, MessageField.VALUE)


def register(registry_url, schema, subject=SUBJECT):
    path = f"{registry_url}/subjects/{subject}/versions"
    response = requests.post(path, json={"schema": schema}, headers=HEADERS, timeout=30)
    return response.status_code, response.json()


def produce(bootstrap, values):
    """Returns the error of each value, or None if it was acknowledged."""
    producer = Producer({"bootstrap.servers": bootstrap})
    results = []
    for value in values:
        producer.produce(TOPIC, value, on_delivery=lambda error, _: results.append(error))
    producer.flush()
    return results


def consume(bootstrap, deserialize):
    settings = {"group.id": "billing", "auto.offset.reset": "earliest"}
    consumer = Consumer({"bootstrap.servers": bootstrap, **settings})
    consumer.subscribe([TOPIC])
    payments = []
    while len(payments) < COUNT:
        message = consumer.poll(1.0)
        if message is not None and message.error() is None:
            payments.append(deserialize(message.value(), value_context()))
        elif message is not None and message.error().code() != KafkaError._PARTITION_EOF:
            raise SystemExit(message.error().str())
    consumer.close()
    return payments


def end_offset(bootstrap):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "watermarks"})
    _, high = consumer.get_watermark_offsets(TopicPartition(TOPIC, 0), timeout=30)
    consumer.close()
    return high


def violations(registry_url):
    path = f"{registry_url}/v1/contracts/violations?topic={TOPIC}"
    entries = requests.get(path, timeout=30).json()["violations"]
    return [f"record {entry['index']}: {entry['message']}" for entry in entries]


main(*sys.argv[1:])
