#!/usr/bin/env python3
"""Fail when an operation of nfs/ops.def has no test, or docs/compat.md says otherwise than ops.def and attrs.def.

    check_ops.py SOURCE_ROOT

Compared are each operation's number and what each minor version answers, each attribute's number, first version,
access, and whether the profile `strict` has it; and that the document has no row more.
"""
import pathlib
import re
import sys

MINORS = {"V40": {0}, "V41": {1}, "V42": {2}, "V40_UP": {0, 1, 2}, "V41_UP": {1, 2}, "V42_UP": {2}}
ACCESS = {"ATTR_READ": "read", "ATTR_WRITE": "set", "ATTR_READ_WRITE": "read, set"}

root = pathlib.Path(sys.argv[1])
nfs = root / "src/nfs"
numbers = {}
for name, number in re.findall(r"\b(?:OP|FATTR4)_(\w+)\s*= (\d+)", (root / "src/xdr/nfs4.x").read_text()):
    numbers.setdefault(name, number)


def rows_of(path, macro):
    return [[field.strip() for field in row.split(",")]
            for row in re.findall(rf"^{macro}\((.*?)\)", path.read_text(), re.M)]


def documented(text):
    """The rows of a table by their first cell."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")]
    return {row[0]: row for row in cells[1:]}


def operation_row(fields):
    minors = MINORS[fields[2]]
    answer = "no" if fields[1] == "op_notsupp" else "yes"
    return [numbers[fields[0]], *(answer if minor in minors else "-" for minor in range(3))]


def attribute_row(fields):
    versions = [word.strip() for word in fields[1].split("|")]
    since = min(min(MINORS[word]) for word in versions if word in MINORS)
    return [numbers[fields[0]], f"4.{since}", ACCESS[fields[2]]]


def differences(kind, wanted, found):
    for name, row in wanted.items():
        if name not in found:
            yield f"{name}: no row in docs/compat.md"
        elif found[name][1:1 + len(row)] != row:
            yield f"{name}: docs/compat.md says {found[name][1:1 + len(row)]}, the list {row}"
    for name in found:
        if name not in wanted:
            yield f"{name}: in docs/compat.md, but no {kind}"


def problems():
    operations = rows_of(nfs / "ops.def", "OP")
    attributes = rows_of(nfs / "attrs.def", "ATTR")
    tests = "".join(path.read_text() for path in sorted((root / "tests/unit/nfs").glob("test_*.c")))
    tests += (root / "tests/unit/nfs/harness.c").read_text()
    for name, handler, *_ in operations:
        if handler != "op_notsupp" and not re.search(rf"\bOP_{name}\b", tests):
            yield f"OP_{name}: no test in tests/unit/nfs"
    compat = (root / "docs/compat.md").read_text()
    operation_text = compat.split("\n## Operations\n")[1].split("\n## ")[0]
    attribute_text = compat.split("\n## Attributes\n")[1].split("\n## ")[0]
    yield from differences("operation", {row[0]: operation_row(row) for row in operations},
                           documented(operation_text))
    found = documented(attribute_text)
    yield from differences("attribute", {row[0].lower(): attribute_row(row) for row in attributes}, found)
    for fields in attributes:
        cells = found.get(fields[0].lower(), [""])
        if ("EXTENDED" in fields[1].split(" | ")) != ("not in `strict`" in cells[-1]):
            yield f"{fields[0].lower()}: docs/compat.md and the list differ about the profile `strict`"


if __name__ == "__main__":
    found_problems = list(problems())
    print("\n".join(found_problems))
    sys.exit(bool(found_problems))
