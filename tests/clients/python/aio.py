"""aiokafka as a producer, a consumer without a group, and a group member."""

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from wire import arguments, payloads, emit


async def main():
    args = arguments()
    commands = {"produce": produce, "consume": consume, "group": group}
    await commands[args.command](args)
    emit("done")


async def produce(args):
    for codec in args.codecs.split(","):
        producer = AIOKafkaProducer(
            bootstrap_servers=args.bootstrap,
            acks="all",
            compression_type=None if codec == "none" else codec,
            enable_idempotence=args.idempotent,
            request_timeout_ms=args.timeout_ms,
            linger_ms=args.linger_ms,
        )
        async with producer:
            sent = []
            for name, value in payloads(args, codec):
                key = None if args.key is None else args.key.encode()
                future = await producer.send(args.topic, value, key, partition=args.partition)
                sent.append((name, future))
            for name, future in sent:
                await report(name, future)


async def report(name, future):
    try:
        stored = await future
        emit("acked", value=name, partition=stored.partition, offset=stored.offset)
    except KafkaError as error:
        emit("failed", value=name, code=error.errno, text=str(error))


async def consume(args):
    """Without a count it reads to the current ends of the partitions."""
    # Without a group, aiokafka assigns all partitions of the topics.
    topics = [args.topic] if args.partition is None else []
    async with AIOKafkaConsumer(*topics, **consumer_settings(args)) as consumer:
        if args.partition is not None:
            consumer.assign([TopicPartition(args.topic, args.partition)])
        partitions = sorted(consumer.assignment())
        for partition in partitions:
            consumer.seek(partition, args.start)
        ends = await consumer.end_offsets(partitions)
        count = 0
        while count < args.count if args.count is not None else not await reached(consumer, ends):
            for messages in (await consumer.getmany(timeout_ms=100)).values():
                for message in messages:
                    if args.count is None or count < args.count:
                        emit_record(message)
                        count += 1


async def reached(consumer, ends):
    return all([await consumer.position(at) >= end for at, end in ends.items()])


async def group(args):
    consumer = AIOKafkaConsumer(
        **consumer_settings(args),
        group_id=args.group,
        session_timeout_ms=6000,
        heartbeat_interval_ms=500,
    )
    consumer.subscribe([args.topic], listener=Assignments())
    async with consumer:
        count = 0
        while count != args.count:
            message = await consumer.getone()
            emit_record(message)
            at = TopicPartition(message.topic, message.partition)
            await consumer.commit({at: message.offset + 1})
            count += 1


class Assignments(ConsumerRebalanceListener):
    async def on_partitions_revoked(self, revoked):
        pass

    async def on_partitions_assigned(self, assigned):
        emit("assigned", partitions=sorted(at.partition for at in assigned))


def consumer_settings(args):
    return {
        "bootstrap_servers": args.bootstrap,
        "auto_offset_reset": "earliest",
        "enable_auto_commit": False,
    }


def emit_record(message):
    emit(
        "record",
        partition=message.partition,
        offset=message.offset,
        key=None if message.key is None else message.key.decode(),
        value=message.value.decode(errors="backslashreplace"),
    )


asyncio.run(main())
