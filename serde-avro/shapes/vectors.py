#!/usr/bin/env python3
"""Writes vectors.jsonl: three data of each schema in schemas/, as fastavro encodes them.

Requires fastavro 1.13 (tests/.tools/venv). The data are random with a fixed seed, in the range of
each logical type. Maps have up to one entry, so that their order is defined. Vectors.java checks
that Java reads and writes the same bytes.
"""

import io
import json
import random
import uuid
from pathlib import Path

import fastavro
import fastavro.schema

ROOT = Path(__file__).resolve().parent
YEAR_MICROS = 31_556_952_000_000


def integer(rng, bits):
    return rng.choice([0, -1, 1, rng.getrandbits(bits - 1), -rng.getrandbits(bits - 1)])


def decimal(rng, precision):
    number = rng.randrange(-(10 ** min(precision, 30)) + 1, 10 ** min(precision, 30))
    return number.to_bytes((number if number >= 0 else ~number).bit_length() // 8 + 1, "big", signed=True)


def logical(rng, schema):
    """Returns a value of a logical type, or None for a type without range."""
    kind, base = schema.get("logicalType"), schema["type"]
    size = schema.get("size")
    if kind == "date" and base == "int":
        return rng.randrange(-100_000, 100_000)
    if kind == "time-millis":
        return rng.randrange(86_400_000)
    if kind == "time-micros":
        return rng.randrange(86_400_000_000)
    if kind and "timestamp" in kind:
        micros = rng.randrange(-200 * YEAR_MICROS, 200 * YEAR_MICROS)
        return {"millis": micros // 1000, "micros": micros, "nanos": micros * 1000}[kind.rsplit("-")[-1]]
    if kind == "decimal":
        number = decimal(rng, schema["precision"])
        return number if size is None else (b"\xff" if number[0] > 127 else b"\0") * (size - len(number)) + number
    if kind == "uuid" and base == "string":
        return str(uuid.UUID(int=rng.getrandbits(128)))
    return None


def value(rng, schema, names, depth):
    if isinstance(schema, list):
        wanted = [s for s in schema if depth < 6 or s == "null" or len(schema) == 1] or schema[:1]
        branch = rng.choice(wanted)
        inner = value(rng, branch, names, depth + 1)
        return inner if branch == "null" else tagged(branch, inner, names)
    if isinstance(schema, str):
        if schema in names:
            return value(rng, names[schema], names, depth)
        schema = {"type": schema}
    kind = schema["type"]
    if isinstance(kind, (dict, list)) or kind in names:
        return value(rng, kind, names, depth)
    found = logical(rng, schema)
    if found is not None:
        return found
    match kind:
        case "null":
            return None
        case "boolean":
            return rng.random() < 0.5
        case "int":
            return integer(rng, 32)
        case "long":
            return integer(rng, 64)
        case "float" | "double":
            return rng.choice([0.0, -1.5, rng.randrange(-1000, 1000) / 8])
        case "bytes":
            return rng.randbytes(rng.randrange(5))
        case "string":
            return rng.choice(["", "a", "żółw", "x" * 70])
        case "fixed":
            return rng.randbytes(schema["size"])
        case "enum":
            return rng.choice(schema["symbols"])
        case "array":
            count = 0 if depth > 5 else rng.randrange(4)
            return [value(rng, schema["items"], names, depth + 1) for _ in range(count)]
        case "map":
            count = 0 if depth > 5 else rng.randrange(2)
            return {f"k{at}": value(rng, schema["values"], names, depth + 1) for at in range(count)}
    return {f["name"]: value(rng, f["type"], names, depth + 1) for f in schema["fields"]}


def tagged(branch, inner, names):
    """Returns a value with the name of its branch, as fastavro expects it."""
    if isinstance(branch, str):
        return (branch, inner) if branch in names else inner
    return (branch["name"], inner) if "name" in branch else inner


def main():
    texts = {path.name: json.loads(path.read_text()) for path in sorted((ROOT / "schemas").glob("*.avsc"))}
    names = {}
    for name in ["references_c", "references_b"]:
        fastavro.parse_schema(texts[f"{name}.avsc"], named_schemas=names)
    with (ROOT / "vectors.jsonl").open("w") as out:
        for file, text in texts.items():
            if file == "invalid_logical.avsc":
                # fastavro rejects logical types that the specification ignores.
                for field in text["fields"]:
                    field["type"].pop("logicalType")
            known = dict(names) if file.startswith("references_a") or file.startswith("references_b") else {}
            if file == "references_b.avsc":
                known.pop("shapes.refs.Second")
            parsed = fastavro.parse_schema(text, named_schemas=known)
            rng = random.Random(file)
            for _ in range(3):
                datum = value(rng, parsed, known, 0)
                buffer = io.BytesIO()
                fastavro.schemaless_writer(buffer, parsed, datum)
                out.write(json.dumps({"file": file, "hex": buffer.getvalue().hex()}) + "\n")


main()
