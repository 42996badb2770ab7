#!/usr/bin/env python3
"""Fails when a row of a .def list is used or tested nowhere, or has no words for its documentation.

A row counts as used where the pattern made of its name occurs in one of the files; as described when its help is a
sentence. A list that does not exist yet is passed over.
"""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import defs  # noqa: E402 (needs the path above)

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
TESTS = ("tests/**/*.c", "tests/**/*.py")


def snake(name):
    """CreateFileSystem -> create_file_system, as boto3 calls it."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def option_use(row):
    return rf"\b{row[0]}_{row[1]}\b"


def metric_use(row):
    return rf"\bMETRIC_{row[0]}\b"


def operation_test(row):
    return rf"\b(OP_{row[0]}|{row[1]}|op{row[0].lower()}|{row[0]}4args|op_{row[0].lower()})\b"


def action_test(row):
    return rf"\b({row[0]}|{snake(row[0])})\b"


def service_action_test(row):
    return rf"\b({row[1]}|{snake(row[1])})\b"


def command_test(row):
    return rf"""["'/ ]{row[0].replace("_", "-")}["' ]"""


def verb_test(row):
    return rf""""{row[0]}", "{row[1]}\""""


# list, macro, what must be so, files that show it, the pattern made of a row
CHECKS = [
    ("src/daemon/options.def", "OPTION", "used", ("src/daemon/*.c",), option_use),
    ("src/metrics/metrics.def", "METRIC", "counted", ("src/**/*.c",), metric_use),
    ("src/nfs/ops.def", "OP", "tested", TESTS, operation_test),
    ("src/control/actions.def", "ACTION", "tested", TESTS, action_test),
    ("src/control/queries.def", "QUERY", "tested", TESTS, service_action_test),
    ("src/control/targets.def", "TARGET", "tested", TESTS, service_action_test),
    ("src/cli/commands.def", "COMMAND", "tested", TESTS, command_test),
    ("src/cli/nouns/nouns.def", "VERB", "tested", TESTS, verb_test),
]
# list, macro, index of the help
HELPS = [
    ("src/daemon/options.def", "OPTION", 9),
    ("src/metrics/metrics.def", "METRIC", 4),
]
UNITS = ("_seconds", "_bytes", "_total", "_connections", "_ratio")


def text_of(patterns):
    paths = {path for pattern in patterns for path in ROOT.glob(pattern)}
    return "\n".join(path.read_text(errors="replace") for path in sorted(paths))


def problems():
    for name, macro, wanted, patterns, pattern_of in CHECKS:
        if not (ROOT / name).exists():
            continue
        text = text_of(patterns)
        for row in defs.named(ROOT / name, macro):
            if not re.search(pattern_of(row), text):
                yield f"{name}: {macro}( {row[0]}, {row[1]} ... ) is {wanted} nowhere in {' '.join(patterns)}"
    for name, macro, index in HELPS:
        for row in defs.named(ROOT / name, macro):
            if not re.fullmatch(r"[A-Z].{10,}\.", row[index]):
                yield f"{name}: {row[0]} {row[1]}: its help is no sentence"
    for row in defs.named(ROOT / "src/metrics/metrics.def", "METRIC"):
        if not row[3].startswith("shoal_") or not row[3].endswith(UNITS):
            yield f"src/metrics/metrics.def: {row[3]} does not end in a unit ({' '.join(UNITS)})"


def main():
    found = list(problems())
    for problem in found:
        print(problem)
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
