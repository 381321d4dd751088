#!/bin/sh
# Shows that Apache Avro's Python library writes a decimal with fewer fraction digits than the schema's scale as a
# different number.
#
#   findings/avro_python_decimal_scale.sh
#
# Needs Python 3 and access to PyPI; writes nothing outside a temporary directory. Exits 0 while avro behaves as described
# here, and 1 when it no longer does.
#
# Cause (avro 1.12.2, avro/io.py, write_decimal_bytes and write_decimal_fixed): the writer encodes the digits of the
# Decimal and ignores its exponent, although the unscaled value is the number multiplied by 10^scale. The check in the
# writer only rejects exponents that need a larger scale. With scale 2, Decimal("1.5") has the digits 15 and is stored as
# 0.15. The bytes are valid, so neither a schema registry nor a validator can detect the error. Users can quantize values
# to the scale before they write them: value.quantize(Decimal("0.01")).
set -eu

version=1.12.2
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/venv"
"$directory/venv/bin/pip" install --quiet --disable-pip-version-check --no-input "avro==$version"
cat >"$directory/decimals.py" <<'PYTHON'
import io
from decimal import Decimal

import avro.io
import avro.schema

schema = avro.schema.parse('{"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}')
for text in ["1.50", "1.5", "20", "1E+1"]:
    buffer = io.BytesIO()
    avro.io.DatumWriter(schema).write(Decimal(text), avro.io.BinaryEncoder(buffer))
    buffer.seek(0)
    stored = avro.io.DatumReader(schema).read(avro.io.BinaryDecoder(buffer))
    print(f"written {text}, read {stored}")
PYTHON

echo "avro $version"
echo "expected: each number is read as it was written, or rejected by the writer"
"$directory/venv/bin/python" "$directory/decimals.py" | tee "$directory/output"
if [ "$(cat "$directory/output")" = "written 1.50, read 1.50
written 1.5, read 0.15
written 20, read 0.20
written 1E+1, read 0.01" ]; then
    echo "as described: three of four numbers are stored as other numbers"
else
    echo "the behaviour has changed" >&2
    exit 1
fi
