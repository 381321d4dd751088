"""Common parts of the client programs: the command line, and events as JSON lines on stdout.

All client families (Python, Node, Java) have the same commands and events, so that one Rust test can
run all of them:

    produce --topic T --count N [--codecs none,zstd] [--idempotent] [--partition P] [--key K]
            [--prefix X] [--timeout-ms M] [--values-hex 00ff,..] [--linger-ms M]
    consume --topic T [--partition P] [--from OFFSET] [--count N]
    group   --topic T --group G [--count N]
    create  --topic T --partitions N --replication R

Events: acked {value, partition, offset}, failed {value, code, text}, assigned {partitions},
record {partition, offset, key, value}, created, output {...}, done.
"""

import argparse
import json
import sys


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("command")
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--registry")
    parser.add_argument("--topic", required=True)
    parser.add_argument("--group")
    parser.add_argument("--codecs", default="none")
    parser.add_argument("--idempotent", action="store_true")
    parser.add_argument("--count", type=int)
    parser.add_argument("--prefix", default="value")
    parser.add_argument("--partition", type=int)
    parser.add_argument("--from", type=int, dest="start", default=0)
    parser.add_argument("--key")
    parser.add_argument("--timeout-ms", type=int, default=30_000)
    parser.add_argument("--values-hex")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--linger-ms", type=int, default=20)
    parser.add_argument("--partitions", type=int, default=1)
    parser.add_argument("--replication", type=int, default=1)
    return parser.parse_args()


def emit(event, **fields):
    """Prints one event and flushes it: the test waits for it."""
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def payloads(args, codec):
    """Returns pairs of a value's name in events and its bytes. The suffix repeats, so that the values
    are compressible."""
    if args.values_hex is not None:
        return [(text, bytes.fromhex(text)) for text in args.values_hex.split(",")]
    suffix = " and so on" * 12
    names = [f"{args.prefix}-{codec}-{i}{suffix}" for i in range(args.count)]
    return [(name, name.encode()) for name in names]
