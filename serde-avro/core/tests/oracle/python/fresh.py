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


def names(schema, space=""):
    """The full names that a schema defines, in order."""
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


def as_fastavro_takes_it(schema):
    """The schema without logical types, and with the defaults of floats and doubles written as such.

    fastavro fails at values that no date, time or UUID has, at decimals that their bytes can't hold,
    and takes no whole number for a double.
    """
    if isinstance(schema, list):
        return [as_fastavro_takes_it(branch) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: value for key, value in schema.items() if key != "logicalType"}
    if type(plain.get("default")) is int:
        text = json.dumps(plain["type"])
        if "float" in text or "double" in text:
            plain["default"] = float(plain["default"])
    for key in ("type", "items", "values"):
        if key in plain:
            plain[key] = as_fastavro_takes_it(plain[key])
    if "fields" in plain:
        plain["fields"] = [as_fastavro_takes_it(field) for field in plain["fields"]]
    return plain


class Confirmation:
    """What was confirmed, and what was not."""

    def __init__(self):
        self.pairs = self.skipped = self.data = self.differences = 0

    def differ(self, what, row):
        self.differences += 1
        print(f"{what}\n  in {row}")

    def confirm_form(self, texts):
        """The schema as JSON, without what contracts don't look at."""
        schema = as_fastavro_takes_it(json.loads(texts["text"]))
        form = fastavro.schema.to_parsing_canonical_form(schema)
        if form != texts["pcf"]:
            self.differ(f"canonical form: fastavro has {form}", texts)
        return schema

    def confirm(self, row):
        """Raises UnknownType for a name before its definition, which fastavro refuses."""
        reader, writer = (self.confirm_form(row[side]) for side in ("reader", "writer"))
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
