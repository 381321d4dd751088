"""Adds fastavro's verdict to each row: accept if it decodes the datum to its last byte.

Each row is decoded in its own process with limited memory and time, because fastavro allocates
without bound for a large count.
"""

import io
import json
import os
import pathlib
import resource
import signal

import fastavro

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "data" / "verdicts"
MEMORY_BYTES = 1 << 29
SECONDS = 5


def accepts(schema, datum):
    """Returns whether fastavro decodes all of `datum`; False if it exceeds the limits."""
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.alarm(SECONDS)
        source = io.BytesIO(datum)
        try:
            fastavro.schemaless_reader(source, schema, None)
            os._exit(0 if not source.read() else 1)
        except BaseException:  # Any exception is a rejection.
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def main():
    lines = (FOLDER / "schemas.jsonl").read_text().splitlines()
    schemas = [fastavro.parse_schema(json.loads(line)["schema"]) for line in lines]
    rows = []
    for line in (FOLDER / "data.jsonl").read_text().splitlines():
        row = json.loads(line)
        accepted = accepts(schemas[row["schema"]], bytes.fromhex(row["datum"]))
        row["fastavro"] = "accept" if accepted else "reject"
        rows.append(json.dumps(row, separators=(",", ":")) + "\n")
    (FOLDER / "data.jsonl").write_text("".join(rows))


if __name__ == "__main__":
    main()
