"""confluent-kafka (librdkafka) as a producer, a consumer without a group, a group member, an admin."""

import uuid

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from wire import arguments, payloads, emit


def main():
    args = arguments()
    commands = {"produce": produce, "consume": consume, "group": group, "create": create}
    commands[args.command](args)
    emit("done")


def produce(args):
    for codec in args.codecs.split(","):
        producer = Producer(
            {
                "bootstrap.servers": args.bootstrap,
                "compression.type": codec,
                "enable.idempotence": args.idempotent,
                "message.timeout.ms": args.timeout_ms,
                "linger.ms": args.linger_ms,
            }
        )
        where = {} if args.partition is None else {"partition": args.partition}
        for name, value in payloads(args, codec):
            producer.produce(
                args.topic, value, key=args.key, on_delivery=delivered(name), **where
            )
        producer.flush()


def delivered(name):
    """Returns a delivery callback that reports the partition and offset of a record."""

    def report(error, message):
        if error is None:
            emit("acked", value=name, partition=message.partition(), offset=message.offset())
        else:
            emit("failed", value=name, code=error.code(), text=error.str())

    return report


def consume(args):
    consumer = Consumer({**consumer_settings(args), "group.id": f"alone-{uuid.uuid4()}"})
    if args.partition is None:
        topic = consumer.list_topics(args.topic, timeout=10).topics[args.topic]
        partitions = list(topic.partitions)
    else:
        partitions = [args.partition]
    start = args.start or OFFSET_BEGINNING
    consumer.assign([TopicPartition(args.topic, p, start) for p in partitions])
    seen, ended = 0, set()
    while seen != args.count and (args.count is not None or len(ended) < len(partitions)):
        message = consumer.poll(1.0)
        if message is None:
            continue
        if message.error() is None:
            emit_record(message)
            seen += 1
        elif message.error().code() == KafkaError._PARTITION_EOF:
            ended.add(message.partition())
        else:
            raise SystemExit(message.error().str())
    consumer.close()


def group(args):
    consumer = Consumer({**consumer_settings(args), "group.id": args.group})

    def assigned(_, partitions):
        emit("assigned", partitions=sorted(p.partition for p in partitions))

    consumer.subscribe([args.topic], on_assign=assigned)
    seen = 0
    while seen != args.count:
        message = consumer.poll(1.0)
        if message is None:
            continue
        if message.error() is None:
            emit_record(message)
            consumer.commit(message, asynchronous=False)
            seen += 1
        elif message.error().code() not in (
            KafkaError._PARTITION_EOF,
            KafkaError.UNKNOWN_TOPIC_OR_PART,
        ):
            raise SystemExit(message.error().str())
    consumer.close()


def create(args):
    admin = AdminClient({"bootstrap.servers": args.bootstrap})
    topic = NewTopic(args.topic, args.partitions, args.replication)
    admin.create_topics([topic])[args.topic].result(timeout=30)
    # Lists all topics: librdkafka sends a different Metadata request for that.
    if args.topic not in admin.list_topics(timeout=30).topics:
        raise SystemExit(f"{args.topic} is not listed")
    emit("created")


def consumer_settings(args):
    return {
        "bootstrap.servers": args.bootstrap,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "session.timeout.ms": 6000,
        "heartbeat.interval.ms": 500,
    }


def emit_record(message):
    key = message.key()
    emit(
        "record",
        partition=message.partition(),
        offset=message.offset(),
        key=None if key is None else key.decode(),
        value=message.value().decode(errors="backslashreplace"),
    )


main()
