#!/usr/bin/env python3
"""Builds the fuzz targets into build-fuzz/ and runs each for a while; fails when one finds something.

What a run found interesting is kept in build-fuzz/corpus/, and the next one goes on from there. An input that makes a
target fail is left in build-fuzz/ and printed in base64.
"""
import argparse
import base64
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = ROOT / "build-fuzz"
# Instructions of libFuzzer that a target needs. Conversations: their many features make the entropic schedule the
# slowest part of a run.
EXTRA = {"fuzz_conversation": ["-entropic=0", "-max_len=768"]}


def available():
    """Whether there is a clang that links libFuzzer."""
    if shutil.which("clang") is None:
        return False
    source = "#include <stddef.h>\nint LLVMFuzzerTestOneInput(const unsigned char *d, size_t n);\n" \
             "int LLVMFuzzerTestOneInput(const unsigned char *d, size_t n) { return d == NULL && n; }\n"
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["clang", "-xc", "-", "-fsanitize=fuzzer,address", "-o", f"{folder}/a"],
                              input=source.encode(), stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, check=False)
    return done.returncode == 0


def build():
    """Configures and compiles the targets; the names of the programs, or None."""
    if not (BUILD / "build.ninja").exists():
        env = {**os.environ, "CC": "clang", "CFLAGS": "-fsanitize=fuzzer-no-link"}
        done = subprocess.run(["meson", "setup", "build-fuzz", "-Dfuzz=true",
                               "-Dbuildtype=debugoptimized", "-Db_sanitize=address,undefined",
                               "-Db_lundef=false"], cwd=ROOT, env=env, check=False)
        if done.returncode != 0:
            return None
    if subprocess.run(["ninja", "-C", "build-fuzz", "fuzz"], cwd=ROOT, check=False).returncode != 0:
        return None
    return sorted(path.name for path in (BUILD / "tests/fuzz").glob("fuzz_*")
                  if path.is_file() and os.access(path, os.X_OK))


def corpora(name):
    """The folders that a target starts from; the first is its own."""
    own = BUILD / "corpus" / name
    own.mkdir(parents=True, exist_ok=True)
    folders = [own]
    if (ROOT / "tests/fuzz/corpus" / name).is_dir():
        folders.append(ROOT / "tests/fuzz/corpus" / name)
    if (BUILD / "seeds" / name).is_dir():
        folders.append(BUILD / "seeds" / name)
    return folders


def run(name, seconds, seed):
    """(whether it found nothing, what to print) of one target. `seed`: of its choices; 0 takes another one each time."""
    before = set(BUILD.glob(f"{name}-*"))
    log = BUILD / f"{name}.log"
    with open(log, "wb") as out:
        status = subprocess.run(
            [BUILD / "tests/fuzz" / name, f"-max_total_time={seconds}", f"-seed={seed}", "-print_final_stats=1",
             "-rss_limit_mb=2048", "-timeout=300", f"-artifact_prefix={BUILD}/{name}-", *EXTRA.get(name, []),
             *corpora(name)], stdout=out, stderr=subprocess.STDOUT, check=False).returncode
    lines = log.read_text(errors="replace").splitlines()
    runs = [line for line in lines if "number_of_executed_units" in line]
    if status == 0:
        return True, f"{name}: nothing found, {runs[-1].split()[-1] if runs else 'no'} runs"
    text = [f"{name}: status {status}, the end of {log}:"]
    text += [line[:400] for line in lines if not line.startswith("#")][-60:]
    for path in sorted(set(BUILD.glob(f"{name}-*")) - before):
        text.append(f"{path} in base64: {base64.b64encode(path.read_bytes()).decode()}")
    return False, "\n".join(text)


def run_all(names, seconds, jobs, say, seed=0):
    """Runs the targets, `jobs` side by side. Gives the names of those that failed."""
    failed = []
    subprocess.run([sys.executable, ROOT / "tests/fuzz/seeds.py", BUILD / "seeds"], check=True)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for name, (passed, text) in zip(names, pool.map(lambda name: run(name, seconds, seed), names)):
            say(text)
            if not passed:
                failed.append(name)
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="of each target (60)")
    parser.add_argument("--jobs", type=int, default=1, help="targets side by side (1)")
    parser.add_argument("target", nargs="*", help="all of them when none is named")
    parser.add_argument("--seed", type=int, default=0, help="of the choices of a run; 0: another one each time (0)")
    args = parser.parse_args()
    names = build()
    if names is None:
        sys.exit("the fuzz targets cannot be built")
    failed = run_all(args.target or names, args.seconds, args.jobs, lambda text: print(text, flush=True),
                     args.seed)
    print(f"{len(failed)} fuzz targets found something")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
