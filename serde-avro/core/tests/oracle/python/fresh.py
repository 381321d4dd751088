"""Confirms our answers on fresh pairs: canonical forms, and that data of compatible pairs decode.

fastavro resolves types by their full names and knows no aliases of types, so pairs whose named types
differ in name are left to Java; so are names that stand before their definition.
"""

import io
import json
import os
import sys

import fastavro
import fastavro.schema


def names(schema):
    """The names that a schema defines, in order."""
    if isinstance(schema, list):
        return [name for branch in schema for name in names(branch)]
    if not isinstance(schema, dict):
        return []
    found = [schema["name"]] if "name" in schema else []
    for key in ("items", "values"):
        found += names(schema.get(key))
    for field in schema.get("fields", []):
        found += names(field["type"])
    return found


class Confirmation:
    """What was confirmed, and what was not."""

    def __init__(self):
        self.pairs = self.skipped = self.data = self.differences = 0

    def differ(self, what, row):
        self.differences += 1
        print(f"{what}\n  in {row}")

    def confirm(self, row):
        """Raises UnknownType for a name before its definition, which fastavro refuses."""
        reader, writer = json.loads(row["reader"]), json.loads(row["writer"])
        form = fastavro.schema.to_parsing_canonical_form(reader)
        if form != row["pcf"]:
            self.differ(f"canonical form: fastavro has {form}", row)
        if row["findings"] != [] or set(names(reader)) != set(names(writer)):
            return
        parsed = fastavro.parse_schema(writer), fastavro.parse_schema(reader)
        for datum in row["data"]:
            self.data += 1
            try:
                fastavro.schemaless_reader(io.BytesIO(bytes.fromhex(datum)), *parsed)
            except UnicodeDecodeError:
                pass  # Bytes read as a string need not be one; the specification promotes them.
            except Exception as refused:  # Whatever it raises, it differs.
                self.differ(f"datum {datum}: fastavro has {refused!r}", row)


def main():
    done = Confirmation()
    with open(os.environ["FRESH_PAIRS"], encoding="utf-8") as rows:
        for line in rows:
            try:
                done.confirm(json.loads(line))
                done.pairs += 1
            except fastavro.schema.UnknownType:
                done.skipped += 1
    print(
        f"fastavro: {done.pairs} pairs, {done.skipped} left out, {done.data} data decoded, "
        f"{done.differences} differences"
    )
    sys.exit(1 if done.differences else 0)


if __name__ == "__main__":
    main()
