"""Compares random pairs with fastavro: canonical forms, and decoding of data of compatible pairs.

fastavro resolves types by their full names and ignores aliases of types, so pairs whose named types
have different names are checked with Java only; so are names that are used before their definition.
"""

import io
import json
import os
import sys

import fastavro
import fastavro.schema


def names(schema, space=""):
    """Returns the full names that a schema defines, in order."""
    if isinstance(schema, list):
        return [name for branch in schema for name in names(branch, space)]
    if not isinstance(schema, dict):
        return []
    found = []
    if "name" in schema:
        name = schema["name"]
        if "." not in name:
            name = ".".join(filter(None, [schema.get("namespace", space), name]))
        space = name.rpartition(".")[0]
        found = [name]
    for key in ("items", "values"):
        found += names(schema.get(key), space)
    for field in schema.get("fields", []):
        found += names(field["type"], space)
    return found


def supported_by_fastavro(schema):
    """Returns the schema without logical types, and with a decimal point in defaults of floats.

    fastavro fails on values outside the range of a date, time, UUID or decimal, and rejects an
    integer as a default of a double.
    """
    if isinstance(schema, list):
        return [supported_by_fastavro(branch) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: value for key, value in schema.items() if key != "logicalType"}
    if type(plain.get("default")) is int:
        text = json.dumps(plain["type"])
        if "float" in text or "double" in text:
            plain["default"] = float(plain["default"])
    for key in ("type", "items", "values"):
        if key in plain:
            plain[key] = supported_by_fastavro(plain[key])
    if "fields" in plain:
        plain["fields"] = [supported_by_fastavro(field) for field in plain["fields"]]
    return plain


class Comparison:
    """The numbers of pairs and data compared, and of differences."""

    def __init__(self):
        self.pairs = self.skipped = self.data = self.differences = 0

    def differ(self, what, row):
        self.differences += 1
        print(f"{what}\n  in {row}")

    def compare_form(self, strings):
        """Compares the canonical form and returns the schema that fastavro supports."""
        schema = supported_by_fastavro(json.loads(strings["text"]))
        form = fastavro.schema.to_parsing_canonical_form(schema)
        if form != strings["pcf"]:
            self.differ(f"canonical form: fastavro has {form}", strings)
        return schema

    def compare(self, row):
        """Raises UnknownType for a name before its definition, which fastavro rejects."""
        reader, writer = (self.compare_form(row[side]) for side in ("reader", "writer"))
        if row["findings"] != [] or set(names(reader)) != set(names(writer)):
            return
        parsed = fastavro.parse_schema(writer), fastavro.parse_schema(reader)
        for datum in row["data"]:
            self.data += 1
            try:
                fastavro.schemaless_reader(io.BytesIO(bytes.fromhex(datum)), *parsed)
            except UnicodeDecodeError:
                pass  # The specification promotes bytes to string without a check of UTF-8.
            except Exception as error:  # Any other exception is a difference.
                self.differ(f"datum {datum}: fastavro has {error!r}", row)


def main():
    done = Comparison()
    with open(os.environ["ORACLE_PAIRS"], encoding="utf-8") as rows:
        for line in rows:
            try:
                done.compare(json.loads(line))
                done.pairs += 1
            except fastavro.schema.UnknownType:
                done.skipped += 1
    print(
        f"fastavro: {done.pairs} pairs, {done.skipped} skipped, {done.data} data decoded, "
        f"{done.differences} differences"
    )
    sys.exit(1 if done.differences else 0)


if __name__ == "__main__":
    main()
