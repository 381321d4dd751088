"""Compares values that fastavro resolves with those that it reads from the resolved data.

Differences that docs/resolution.md documents are counted by its rows. Pairs whose named types
have different names are compared with Java only, because fastavro ignores aliases of types.
"""

import collections
import io
import json
import os
import struct
import sys

import fastavro
import fastavro.schema
from random_pairs import names, supported_by_fastavro


def same(theirs, ours, promotes=False):
    """Returns whether values are equal; defaults of fastavro are values of JSON, not of the schema.

    With `promotes`, an integer may also be the nearest float.
    """
    if isinstance(theirs, dict) and isinstance(ours, dict):
        if theirs == {} or theirs.keys() == ours.keys():
            return all(same(value, ours[key], promotes) for key, value in theirs.items())
        return False
    if isinstance(theirs, list) and isinstance(ours, list):
        pairs = zip(theirs, ours)
        return len(theirs) == len(ours) and all(same(*pair, promotes) for pair in pairs)
    if promotes and isinstance(theirs, float) and isinstance(ours, int):
        return theirs == float(ours)
    if isinstance(theirs, str) and isinstance(ours, bytes):
        return theirs.encode("latin-1", "replace") == ours
    if isinstance(theirs, bytes) and isinstance(ours, str):
        return theirs.decode("utf-8", "replace") == ours
    # A NaN differs from itself.
    return theirs == ours or (theirs != theirs and ours != ours) or single(theirs) == ours


def single(value):
    """Returns a number as a float of 32 bits, which Python does not have as a type."""
    try:
        return struct.unpack("f", struct.pack("f", value))[0]
    except (struct.error, OverflowError):
        return None


class Comparison:
    """The numbers of data compared, and of differences."""

    def __init__(self):
        self.data = self.skipped = self.differences = 0
        self.documented = collections.Counter()

    def compare(self, row):
        """Raises UnknownType for a name before its definition, which fastavro rejects."""
        texts = [json.loads(row[side]) for side in ("writer", "reader")]
        schemas = [supported_by_fastavro(text) for text in texts]
        if set(names(schemas[0])) != set(names(schemas[1])):
            self.skipped += len(row["data"])
            return
        writer, reader = map(fastavro.parse_schema, schemas)
        for datum in row["data"]:
            self.data += 1
            self.compare_datum(row, writer, reader, datum)

    def compare_datum(self, row, writer, reader, datum):
        ours = datum["first"]
        try:
            bytes_in = io.BytesIO(bytes.fromhex(datum["datum"]))
            theirs = fastavro.schemaless_reader(bytes_in, writer, reader)
        except UnicodeDecodeError:
            self.documented["bytes that are not UTF-8"] += 1
            return
        except Exception as error:  # Any other exception is compared with the error of the resolver.
            # fastavro compares the schemas of empty arrays, too.
            is_partial = isinstance(error, fastavro.read.SchemaResolutionError) and not row["all"]
            if not ours.startswith("!"):
                self.differ(row, datum, repr(error), "partly readable" if is_partial else None)
            return
        if ours.startswith("!"):
            known = "decimals of different scales" in ours
            self.differ(row, datum, "fastavro reads it", "decimal scales" if known else None)
            return
        try:
            found = fastavro.schemaless_reader(io.BytesIO(bytes.fromhex(ours)), reader, None)
        except UnicodeDecodeError:
            self.documented["bytes that are not UTF-8"] += 1
            return
        if not same(theirs, found):
            # Only unions of the same types keep an integer where a float is the first match.
            known = "unions by position" if same(theirs, found, promotes=True) else None
            what = f"fastavro has {theirs!r}, the resolved datum {found!r}"
            self.differ(row, datum, what, known)

    def differ(self, row, datum, what, documented=None):
        if documented:
            self.documented[documented] += 1
            return
        self.differences += 1
        if self.differences <= 20:
            print(f"{what}\n  datum {datum}\n  writer {row['writer']}\n  reader {row['reader']}")


def main():
    done = Comparison()
    with open(os.environ["ORACLE_RESOLUTIONS"], encoding="utf-8") as rows:
        for line in rows:
            row = json.loads(line)
            try:
                done.compare(row)
            except fastavro.schema.UnknownType:
                done.skipped += len(row["data"])
    print(
        f"fastavro: {done.data} data resolved, {done.skipped} skipped, {done.differences} differences, "
        f"documented: {dict(done.documented)}"
    )
    sys.exit(1 if done.differences else 0)


if __name__ == "__main__":
    main()
