"""kafka-python as a producer: `produce` of wire.py, with --batch-size. Also prints the version of Kafka
that the client infers from the APIs of the broker."""

from kafka import KafkaProducer
from kafka.errors import KafkaError

from wire import arguments, emit, payloads


def main():
    args = arguments()
    for codec in args.codecs.split(","):
        produce(args, codec)
    emit("done")


def produce(args, codec):
    producer = KafkaProducer(
        bootstrap_servers=args.bootstrap,
        compression_type=None if codec == "none" else codec,
        enable_idempotence=args.idempotent,
        batch_size=args.batch_size or 16_384,
        linger_ms=args.linger_ms,
    )
    emit("output", kafka_version=list(producer.config["api_version"]))
    sent = []
    for name, value in payloads(args, codec):
        sent.append((name, producer.send(args.topic, value, partition=args.partition)))
    # Not flush(), which fails if the producer splits a batch.
    for name, future in sent:
        report(name, future, args.timeout_ms / 1000)
    producer.close()


def report(name, future, seconds):
    try:
        stored = future.get(seconds)
        emit("acked", value=name, partition=stored.partition, offset=stored.offset)
    except KafkaError as error:
        emit("failed", value=name, code=getattr(error, "errno", None), text=str(error))


main()
