#!/usr/bin/env python3
"""clang-tidy over the C files of src/: tools/tidy.py BUILD_DIR [FILE...]..

A file whose content, headers and configuration were clean before is skipped: the build directory remembers
their digest.
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def with_headers(path, build_dir, seen):
    """`path` and every file of the project that it includes."""
    if path in seen:
        return seen
    seen.add(path)
    for name in INCLUDE.findall(path.read_text(errors="replace")):
        for base in (ROOT / "src", ROOT, build_dir / "src", path.parent):
            if (base / name).is_file():
                with_headers(base / name, build_dir, seen)
                break
    return seen


def digest(path, build_dir):
    total = hashlib.sha256((ROOT / ".clang-tidy").read_bytes())
    for file in sorted(with_headers(path, build_dir, set())):
        total.update(file.read_bytes())
    return total.hexdigest()


def tidy(path, build_dir):
    done = subprocess.run(["clang-tidy", "-p", str(build_dir), "--quiet", str(path)],
                          capture_output=True, text=True)
    return path, done.returncode, done.stdout


def main():
    build_dir = pathlib.Path(sys.argv[1]).resolve()
    compiled = {pathlib.Path(build_dir, entry["directory"], entry["file"]).resolve()
                for entry in json.loads((build_dir / "compile_commands.json").read_text())}
    files = [pathlib.Path(name).resolve() for name in sys.argv[2:]] or sorted(
        path for path in compiled if path.is_relative_to(ROOT / "src"))
    memory = build_dir / "tidy-clean.json"
    clean = json.loads(memory.read_text()) if memory.exists() else {}
    digests = {path: digest(path, build_dir) for path in files}
    changed = [path for path in files if clean.get(str(path)) != digests[path]]
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for path, status, output in pool.map(lambda path: tidy(path, build_dir), changed):
            if status == 0:
                clean[str(path)] = digests[path]
                continue
            bad += 1
            print(f"{path.relative_to(ROOT)}:\n{output}", flush=True)
    memory.write_text(json.dumps(clean))
    print(f"clang-tidy: {len(changed)} of {len(files)} files looked at, {bad} with findings")
    sys.exit(bad != 0)


if __name__ == "__main__":
    main()
