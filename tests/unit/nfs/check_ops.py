#!/usr/bin/env python3
"""Fail when an operation of nfs/ops.def that has a handler is in no test, or an attribute has no row in the docs.

    check_ops.py SOURCE_ROOT
"""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
rows = re.findall(r"^OP\( *(\w+), *(\w+),", (root / "src/nfs/ops.def").read_text(), re.M)
attributes = re.findall(r"^ATTR\( *(\w+),", (root / "src/nfs/attrs.def").read_text(), re.M)
tests = "".join(path.read_text() for path in sorted((root / "tests/unit/nfs").glob("test_*.c")))
harness = (root / "tests/unit/nfs/harness.c").read_text()
compat = (root / "docs/compat.md").read_text()

problems = [f"OP_{name}: no test in tests/unit/nfs" for name, handler in rows
            if handler != "op_notsupp" and not re.search(rf"\bOP_{name}\b", tests + harness)]
problems += [f"{name}: no row in docs/compat.md" for name, _ in rows
             if not re.search(rf"^\| {name} \|", compat, re.M)]
problems += [f"{name.lower()}: no row in docs/compat.md" for name in attributes
             if not re.search(rf"^\| {name.lower()} \|", compat, re.M)]
print("\n".join(problems))
sys.exit(bool(problems))
