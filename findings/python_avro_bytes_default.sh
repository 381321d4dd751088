#!/bin/sh
# Shows that both Python libraries for Avro return wrong values for defaults of type bytes, each in its own way.
#
#   findings/python_avro_bytes_default.sh
#
# Needs Python 3 and access to PyPI; writes nothing outside a temporary directory. Exits 0 while the libraries behave as
# described here, and 1 when one of them no longer does.
#
# Avro's specification, "Complex Types", Records: in a default of type bytes or fixed, the code points 0-255 are mapped to
# the unsigned byte values 0-255. A reader uses the default for a field that the writer's schema does not have, which is
# the usual BACKWARD compatible change. The default here, "\u00ff", is the single byte ff.
# - avro 1.12.2 encodes the default in UTF-8: two bytes, c3 bf.
# - fastavro 1.13.1 returns the string of the JSON schema: a str, not bytes. It also returns defaults of logical types
#   without conversion: the int 0 instead of a datetime. Records of the same topic then differ in type.
# A record with such a default cannot be written again by fastavro ("a bytes-like object is required, not 'str'").
set -eu

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/venv"
"$directory/venv/bin/pip" install --quiet --disable-pip-version-check --no-input avro==1.12.2 fastavro==1.13.1
cat >"$directory/defaults.py" <<'PYTHON'
import io
import json

import avro.io
import avro.schema
import fastavro

writer = {"type": "record", "name": "R", "fields": []}
reader = {"type": "record", "name": "R", "fields": [
    {"name": "b", "type": "bytes", "default": "\u00ff"},
    {"name": "t", "type": {"type": "long", "logicalType": "timestamp-millis"}, "default": 0},
]}

parsed = [avro.schema.parse(json.dumps(schema)) for schema in (writer, reader)]
print("avro:", avro.io.DatumReader(*parsed).read(avro.io.BinaryDecoder(io.BytesIO())))
parsed = [fastavro.parse_schema(schema) for schema in (writer, reader)]
record = fastavro.schemaless_reader(io.BytesIO(), *parsed)
print("fastavro:", {name: (type(value).__name__, value) for name, value in record.items()})
try:
    fastavro.schemaless_writer(io.BytesIO(), parsed[1], record)
    print("fastavro: written again")
except Exception as error:
    print("fastavro: not written again:", type(error).__name__)
PYTHON

echo "avro 1.12.2, fastavro 1.13.1"
echo "expected: {'b': b'\\xff', 't': datetime of 1970-01-01}"
"$directory/venv/bin/python" "$directory/defaults.py" | tee "$directory/output"
if grep -qF "avro: {'b': b'\\xc3\\xbf', 't': 0}" "$directory/output" &&
    grep -qF "fastavro: {'b': ('str', 'ÿ'), 't': ('int', 0)}" "$directory/output" &&
    grep -q '^fastavro: not written again' "$directory/output"; then
    echo "as described: neither library returns the byte ff"
else
    echo "the behaviour has changed" >&2
    exit 1
fi
