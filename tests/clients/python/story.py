"""The story of Avouch with an ordinary client: a schema, payments, two bad ones, two new versions.

    story.py BOOTSTRAP REGISTRY_URL SCHEMA_FOLDER INCOMPATIBLE_SCHEMA_FILE

Prints what it sees; the README shows this output.
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
    values = [serialize(payment(n), value_of_topic()) for n in range(COUNT)]
    results = produce(bootstrap, values)
    print(f"produce {COUNT} payments: {results.count(None)} acknowledged")

    payments = consume(bootstrap, AvroDeserializer(registry))
    print(f"consume them in a group: {len(payments)}, the first is {payments[0]['paymentId']}")

    ends = end_offset(bootstrap)
    (cut,) = produce(bootstrap, [values[0][:-3]])
    print(f"produce a payment cut short: {cut.name()} ({cut.code()})")
    other = register(registry_url, '"string"', subject="greetings-value")[1]["id"]
    foreign_id = values[0][:1] + other.to_bytes(4, "big") + values[0][5:]
    (foreign,) = produce(bootstrap, [foreign_id])
    print(f"produce one with another subject's schema id: {foreign.name()} ({foreign.code()})")
    print("why, from the broker's feed of violations:")
    for fault in faults(registry_url):
        print(f"  {fault}")
    print(f"end offset before and after: {ends}, {end_offset(bootstrap)}")

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


def value_of_topic():
    return SerializationContext(TOPIC, MessageField.VALUE)


def register(registry_url, schema, subject=SUBJECT):
    path = f"{registry_url}/subjects/{subject}/versions"
    answer = requests.post(path, json={"schema": schema}, headers=HEADERS, timeout=30)
    return answer.status_code, answer.json()


def produce(bootstrap, values):
    """What became of each value: None, or the error."""
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
            payments.append(deserialize(message.value(), value_of_topic()))
        elif message is not None and message.error().code() != KafkaError._PARTITION_EOF:
            raise SystemExit(message.error().str())
    consumer.close()
    return payments


def end_offset(bootstrap):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "watermarks"})
    _, high = consumer.get_watermark_offsets(TopicPartition(TOPIC, 0), timeout=30)
    consumer.close()
    return high


def faults(registry_url):
    path = f"{registry_url}/v1/contracts/violations?topic={TOPIC}"
    entries = requests.get(path, timeout=30).json()["violations"]
    return [f"record {entry['index']}: {entry['message']}" for entry in entries]


main(*sys.argv[1:])
