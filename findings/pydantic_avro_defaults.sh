#!/bin/sh
# Shows that pydantic-avro loses defaults of type bytes and generates invalid defaults for dates and times.
#
#   findings/pydantic_avro_defaults.sh
#
# Needs Python 3 and access to PyPI; writes nothing outside a temporary directory. Exits 0 while pydantic-avro behaves as
# described here, and 1 when it no longer does.
#
# pydantic-avro 0.13.0 derives the Avro schema from pydantic's JSON schema:
# - A bytes default is absent from the JSON schema if it is not UTF-8. The field then becomes nullable with default null:
#   readers return None, although the model has a default and does not accept None.
# - A datetime default is an ISO 8601 string in the JSON schema and is copied as such. A string is not a valid default of
#   a long, so Avro's Java library and registries reject the schema.
set -eu

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/venv"
"$directory/venv/bin/pip" install --quiet --disable-pip-version-check --no-input pydantic-avro==0.13.0
cat >"$directory/defaults.py" <<'PYTHON'
import datetime
import json
import warnings

from pydantic_avro import AvroBase

warnings.simplefilter("ignore")


class Event(AvroBase):
    payload: bytes = b"\xff"
    at: datetime.datetime = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)


for field in Event.avro_schema()["fields"]:
    print(json.dumps(field, sort_keys=True))
PYTHON

echo "pydantic-avro 0.13.0"
echo 'expected: {"default": "\u00ff", "name": "payload", "type": "bytes"} and the default 1577836800000000'
"$directory/venv/bin/python" "$directory/defaults.py" | tee "$directory/output"
if grep -qF '{"default": null, "name": "payload", "type": ["null", "bytes"]}' "$directory/output" &&
    grep -qF '"default": "2020-01-01T00:00:00Z", "name": "at", "type": {"logicalType": "timestamp-micros", "type": "long"}' \
        "$directory/output"; then
    echo "as described: one default is lost and one is invalid"
else
    echo "the behaviour has changed" >&2
    exit 1
fi
