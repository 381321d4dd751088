#!/usr/bin/env python3
"""Writes into docs/conformance which tests show each promise.

  tests/conformance.py [--check]

The pages hold the promises: a table row each, with an id in the first cell. A test names the rows
that it shows in a comment above its attributes, and a group script in a comment of its head:

    // Conformance: broker/fetch-3, log/7
    #[test]
    fn fetch_waits_for_min_bytes() {

This script writes the names of the tests into the last cell of each row. It fails when a comment
names a row that does not exist, a row has no test, or an id is used twice on a page; with --check
also when a page is out of date.
"""

import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "conformance"
MARK = re.compile(r"\s*(?://|#) Conformance: (.*)")
TEST = re.compile(r"\s*#\[(?:\w+::)?test\b")
FUNCTION = re.compile(r"\s*(?:async )?fn (\w+)")
ROW = re.compile(r"\| (?!# )([^|]*?) \|(.*)\|[^|]*\|$")


def sources():
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.rs", "*/scripts/*.txt"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in map(Path, listed.stdout.splitlines()) if (ROOT / path).is_file()]


def marks(path):
    """Yields each row that a file names, with the line and the test that follows."""
    rows, is_test = [], False
    for number, line in enumerate((ROOT / path).read_text(encoding="utf-8").splitlines(), 1):
        if mark := MARK.match(line):
            rows += [(row.strip(), f"{path}:{number}") for row in mark[1].split(",")]
        elif TEST.match(line):
            is_test = True
        elif path.suffix == ".rs" and (function := FUNCTION.match(line)):
            yield from ((row, place, function[1] if is_test else None) for row, place in rows)
            rows, is_test = [], False
    yield from ((row, place, path.stem if path.suffix == ".txt" else None) for row, place in rows)


def main():
    tests, places, wrong = defaultdict(list), {}, []
    for path in sources():
        for row, place, test in marks(path):
            if test is None:
                wrong.append(f"{place}: no test follows")
            elif test not in tests[row]:
                tests[row].append(test)
            places.setdefault(row, place)
    for page in sorted(PAGES.glob("*.md")):
        ids, lines = set(), []
        before = page.read_text(encoding="utf-8")
        for line in before.splitlines():
            if row := ROW.match(line):
                name = f"{page.stem}/{row[1]}"
                if row[1] in ids:
                    wrong.append(f"{page.name}: two rows {row[1]}")
                if name not in tests:
                    wrong.append(f"{page.name}: no test names {name}")
                ids.add(row[1])
                places.pop(name, None)
                line = f"| {row[1]} |{row[2]}| {', '.join(f'`{test}`' for test in sorted(tests[name]))} |"
            lines.append(line)
        after = "\n".join(lines) + "\n"
        if after != before and "--check" in sys.argv:
            wrong.append(f"{page.name}: out of date; run tests/conformance.py")
        elif after != before:
            page.write_text(after, encoding="utf-8")
    wrong += [f"{place}: no row {row}" for row, place in places.items()]
    if wrong:
        sys.exit("\n".join(sorted(wrong)))


if __name__ == "__main__":
    main()
