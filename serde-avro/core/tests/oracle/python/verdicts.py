"""Adds fastavro's verdict to each row: does it decode the datum, to its last byte?

Each row is judged in a process of its own, with little memory and time, because a hostile count
makes fastavro allocate until it is stopped.
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
    """Whether fastavro decodes `datum` and leaves nothing; False also when it is stopped."""
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.alarm(SECONDS)
        source = io.BytesIO(datum)
        try:
            fastavro.schemaless_reader(source, schema, None)
            os._exit(0 if not source.read() else 1)
        except BaseException:  # Whatever it raises, it has refused.
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def main():
    lines = (FOLDER / "schemas.jsonl").read_text().splitlines()
    schemas = [fastavro.parse_schema(json.loads(line)["schema"]) for line in lines]
    rows = []
    for line in (FOLDER / "data.jsonl").read_text().splitlines():
        row = json.loads(line)
        accepted = accepts(schemas[row["schema"]], bytes.fromhex(row["datum"]))
        row["fastavro"] = "accept" if accepted else "refuse"
        rows.append(json.dumps(row, separators=(",", ":")) + "\n")
    (FOLDER / "data.jsonl").write_text("".join(rows))


if __name__ == "__main__":
    main()
