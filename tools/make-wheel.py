#!/usr/bin/env python3
"""Builds the wheel of the Python package with the library inside: tools/make-wheel.py BUILD_DIR OUT_DIR.

Needs pip, setuptools and wheel (tools/python-env.sh has them); downloads nothing, and leaves the source tree as it is.
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
LIBRARY = "libshoal-data.so.0"


def main():
    build, out = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
    with tempfile.TemporaryDirectory(prefix="shoal-wheel-") as directory:
        source = pathlib.Path(directory) / "python"
        shutil.copytree(ROOT / "python", source, ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
        shutil.copy(build / "src/datastore" / LIBRARY, source / "shoal_data" / LIBRARY)
        subprocess.run(["strip", "--strip-unneeded", source / "shoal_data" / LIBRARY], check=True)
        subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
                        "--no-index", "--wheel-dir", out, source], check=True)
    for wheel in sorted(out.glob("shoal_data-*.whl")):
        print(wheel)


if __name__ == "__main__":
    main()
