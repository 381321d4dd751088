#!/bin/sh
# Shows that Apache Avro's Python library rejects schema changes that Avro's specification and Java library allow.
#
#   findings/avro_python_resolution.sh
#
# Needs Python 3 and access to PyPI; writes nothing outside a temporary directory. Exits 0 while avro behaves as described
# here, and 1 when it no longer does.
#
# Avro's specification, "Schema Resolution", defines the default of an enum for symbols that the reader's schema does not
# have, promotes string to bytes and bytes to string, and resolves a writer's union branch by branch. Registries with
# Java's rules therefore accept these versions as compatible. avro 1.12.2 implements none of the three: a consumer fails
# with SchemaResolutionException when it reads valid records with the new schema. fastavro reads all of them.
set -eu

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/venv"
"$directory/venv/bin/pip" install --quiet --disable-pip-version-check --no-input avro==1.12.2 fastavro==1.13.1
cat >"$directory/resolution.py" <<'PYTHON'
import io
import json

import avro.io
import avro.schema
import fastavro


def enum(*symbols, **attributes):
    return {"type": "enum", "name": "E", "symbols": list(symbols), **attributes}


cases = [
    ("enum default", enum("A", "B"), enum("A", default="A"), b"\x02"),
    ("string to bytes", "string", "bytes", b"\x02a"),
    ("bytes to string", "bytes", "string", b"\x02a"),
    ("union to long", ["int", "long"], "long", b"\x00\x04"),
]
for name, writer, reader, datum in cases:
    try:
        schemas = [avro.schema.parse(json.dumps(schema)) for schema in (writer, reader)]
        found = repr(avro.io.DatumReader(*schemas).read(avro.io.BinaryDecoder(io.BytesIO(datum))))
    except avro.errors.SchemaResolutionException:
        found = "SchemaResolutionException"
    schemas = [fastavro.parse_schema(schema) for schema in (writer, reader)]
    print(f"{name}: avro {found}, fastavro {fastavro.schemaless_reader(io.BytesIO(datum), *schemas)!r}")
PYTHON

echo "avro 1.12.2, fastavro 1.13.1"
echo "expected: both read every datum"
"$directory/venv/bin/python" "$directory/resolution.py" | tee "$directory/output"
if [ "$(grep -c 'avro SchemaResolutionException, fastavro' "$directory/output")" = 4 ]; then
    echo "as described: avro reads none of them"
else
    echo "the behaviour has changed" >&2
    exit 1
fi
