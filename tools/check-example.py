#!/usr/bin/env python3
"""Fails when etc/shoald.conf is not what shoald prints: tools/check-example.py SHOALD FILE [--write]."""
import os
import pathlib
import subprocess
import sys


def main():
    program, path = sys.argv[1], pathlib.Path(sys.argv[2])
    env = {name: value for name, value in os.environ.items() if not name.startswith("SHOAL_")}
    printed = subprocess.run([program, "--print-config"], env=env, check=True, capture_output=True, text=True).stdout
    if "--write" in sys.argv[3:]:
        path.write_text(printed)
    elif path.read_text() != printed:
        sys.exit(f"{path} is not what the options say; run: {' '.join(sys.argv[:3])} --write")


if __name__ == "__main__":
    main()
