#!/usr/bin/env python3
"""Writes the seeds of fuzz_conversation: seeds.py FOLDER. Each paragraph of conversations/*.txt is one conversation.

A line is one step: its peer (0: 4.1, 1: 4.2, 2: 4.0, 3: 4.2 and not root), the operation, and bytes of struct step by
name (tests/fuzz/conversation.h), for which there are words: `f0` ... the file or name, `here` the filehandle that is
there, `as -2` the stateid before the last, `more` for the same COMPOUND, `cache`, `slot=1`, `again`.
"""
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
PLACES = ["f0", "f1", "f2", "f3", "d", "l", "n0", "n1"]
CONTROLS = {"PAUSE": 0xF0, "RECONNECT": 0xF1, "RESTART": 0xF2, "CALLBACKS": 0xF3}
FIELDS = {"place": 2, "stateid": 3, "flags": 4, "offset": 5, "length": 6, "extra": 7}


def operations():
    rows = re.findall(r"^    \{ OP_(\w+),", (HERE / "conversation_ops.c").read_text(), re.M)
    return {name: number for number, name in enumerate(rows)}


def step_of(line, ops):
    words = line.split()
    step = bytearray(8)
    step[0] = CONTROLS[words[1]] if words[1] in CONTROLS else ops[words[1]]
    step[1] = int(words[0])
    words = words[2:]
    while words:
        word = words.pop(0)
        name, _, value = word.partition("=")
        if word in PLACES:
            step[2] = PLACES.index(word) << 3
        elif word == "here":
            step[2] |= 7
        elif word == "as":
            step[3] = -int(words.pop(0)) - 1
        elif word == "more":
            step[1] |= 0x04
        elif word == "cache":
            step[1] |= 0x08
        elif word == "again":
            step[1] |= 0x40
            step[7] |= 1
        elif name == "slot":
            step[1] |= int(value) << 4
        else:
            step[FIELDS[name]] = int(value, 0)
    return bytes(step)


def main():
    ops = operations()
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted((HERE / "conversations").glob("*.txt")):
        for number, paragraph in enumerate(path.read_text().strip().split("\n\n")):
            lines = [line for line in paragraph.splitlines() if line and not line.startswith("#")]
            seed = b"".join(step_of(line, ops) for line in lines)
            (folder / f"{path.stem}-{number}").write_bytes(seed)


if __name__ == "__main__":
    main()
