#!/usr/bin/env python3
"""Runs the suites of `make check` or `make test` and ends with the line "N passed, N failed".

A suite that cannot be built counts as one failure, a crashed test program too; the suites after it still run.
Each cmocka test, each pytest test and each checker counts as one.
"""
import argparse
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree

import fuzz

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Debian's packages (pytest, boto3) belong to Debian's Python, which need not be the first in PATH.
PYTHON = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable
OPTIONS = {
    "asan": ["-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dwerror=true"],
    # No werror: in code with ThreadSanitizer's calls gcc warns of variables that are set in truth.
    "tsan": ["-Db_sanitize=thread", "-Db_lundef=false", "-Dwerror=false"],
    "clang": ["-Dwerror=true"],
    "release": ["--buildtype=release", "-Dstrip=false"],
}
FUZZ_SECONDS = 60  # of each target
FUZZ_SEED = 1  # the same inputs each time: what is tested here is the change. `make fuzz` looks for new ones.
PROTOCOL_WORKERS = 2  # they wait more than they compute; each module has a server of its own
BUILD_DIRS = {"asan": "build-asan", "tsan": "build-tsan", "clang": "build-clang", "release": "build"}


class Totals:
    """What passed and failed so far, with the names of what failed."""

    def __init__(self):
        self.passed = 0
        self.skipped = 0
        self.failures = []

    def add(self, passed, failures, skipped=0):
        self.passed += passed
        self.skipped += skipped
        self.failures += failures


def say(text):
    print(text, flush=True)


def run(command, timeout_s, env=None):
    """Runs a command; on timeout ends its whole process group. Returns its exit status."""
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **(env or {})},
                               start_new_session=True)
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        say(f"not finished within {timeout_s} s, ended: {' '.join(map(str, command))}")
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return 124
    except BaseException:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        raise


def build(kind, totals):
    """Configures and compiles one kind of build; True when it is there."""
    directory = BUILD_DIRS[kind]
    env = {"CC": "clang"} if kind == "clang" else {}
    options = OPTIONS[kind]
    if (ROOT / directory / "build.ninja").exists():
        setup = ["meson", "setup", "--reconfigure", directory, *options]  # sees new folders
    else:
        setup = ["meson", "setup", directory, *options]
    if run([*setup], 300, env) == 0 and run(["ninja", "-C", directory], 1500, env) == 0:
        totals.add(1, [])
        return True
    totals.add(0, [f"build {directory}"])
    return False


def count_test(test):
    """(passed, failures) of one line of meson's testlog.json: of each cmocka test in it, or of the program."""
    output = test.get("stdout") or ""
    passed = len(re.findall(r"^\[ +OK \]", output, re.M))
    failed = sorted(set(re.findall(r"^\[ +FAILED +\] ([a-z]\w*)", output, re.M)))
    skipped = len(re.findall(r"^\[ +SKIPPED +\]", output, re.M))
    if test["result"] in ("OK", "EXPECTEDFAIL"):
        return (passed or 1), [], skipped
    if test["result"] == "SKIP":
        return 0, [], 1
    return passed, [f"{test['name']}: {name}" for name in failed] or [test["name"]], skipped


def meson_tests(kind, suites, totals):
    directory = BUILD_DIRS[kind]
    log = ROOT / directory / "meson-logs" / "testlog.json"
    log.unlink(missing_ok=True)
    selected = [word for suite in suites for word in ("--suite", suite)]
    run(["meson", "test", "-C", directory, "--no-rebuild", "--print-errorlogs", *selected], 900,
        sanitizer_env())
    if not log.exists():
        totals.add(0, [f"meson test in {directory} ({', '.join(suites)})"])
        return
    for line in log.read_text().splitlines():
        totals.add(*count_test(json.loads(line)))


def sanitizer_env():
    return {"UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
            "TSAN_OPTIONS": f"halt_on_error=0:suppressions={ROOT}/tools/tsan.supp"}


def python_env(totals):
    """The Python that has the packages of tests/requirements.txt; None when it cannot be made."""
    done = subprocess.run([ROOT / "tools" / "python-env.sh"], stdout=subprocess.PIPE, text=True,
                          timeout=600, check=False)
    if done.returncode == 0:
        return done.stdout.strip()
    totals.add(0, ["tools/python-env.sh"])
    return None


def package_tests(totals):
    """The Python package over the release library, with PostgreSQL, Ray and the examples."""
    python = python_env(totals)
    if python is not None:
        pytests(["tests/python"], "release", 420, totals, python)


def data_tests(totals):
    """What needs Python packages: other programs' readers and writers of our files."""
    python = python_env(totals)
    if python is not None:
        pytests(["tests/data"], "asan", 300, totals, python)


def parallel(python, workers):
    """What tells pytest to run modules side by side, if it can."""
    can = subprocess.run([python, "-c", "import xdist"], stderr=subprocess.DEVNULL, check=False).returncode == 0
    return ["-n", str(workers), "--dist", "loadfile"] if can and workers > 1 else []


def pytests(paths, kind, timeout_s, totals, python=PYTHON, workers=1):
    """One run of pytest over `paths`, against the programs of a build."""
    paths = [path for path in paths if list((ROOT / path).glob("**/test_*.py"))]
    if not paths:
        return
    report = ROOT / BUILD_DIRS[kind] / f"pytest-{paths[0].replace('/', '-')}.xml"
    report.unlink(missing_ok=True)
    env = {"SHOAL_BUILD": str(ROOT / BUILD_DIRS[kind]), "PYTHONDONTWRITEBYTECODE": "1"}
    status = run([python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rfEs",
                  f"--junitxml={report}", *parallel(python, workers), *paths], timeout_s, env)
    if not report.exists():
        totals.add(0, [f"pytest {' '.join(paths)}: status {status}"])
        return
    passed, skipped, failures = 0, 0, []
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failures.append(f"{case.get('classname')}.{case.get('name')}")
        elif case.find("skipped") is not None:
            skipped += 1
        else:
            passed += 1
    if status not in (0, 1, 5) and not failures:
        failures.append(f"pytest {' '.join(paths)}: status {status}")
    totals.add(passed, failures, skipped)


def clang_tidy(totals):
    """All of src/ with the configuration in the tree."""
    status = run([PYTHON, "tools/tidy.py", BUILD_DIRS["clang"]], 900)
    totals.add(status == 0, ["clang-tidy"] if status else [])


def fuzz_targets(totals):
    """Each fuzz target for a minute, two side by side; each counts as one."""
    if not fuzz.available():
        totals.add(0, [], 1)
        say("fuzzing is left out: there is no clang with libFuzzer")
        return
    names = fuzz.build()
    if names is None:
        totals.add(0, ["build build-fuzz"])
        return
    failed = fuzz.run_all(names, FUZZ_SECONDS, 2, say, FUZZ_SEED)
    totals.add(len(names) - len(failed), failed)


def step(name, function, *arguments):
    started = time.monotonic()
    say(f"== {name}")
    result = function(*arguments)
    say(f"== {name}: {time.monotonic() - started:.0f} s")
    return result


def check(totals):
    if step("build with ASan and UBSan", build, "asan", totals):
        step("unit, simulation and checkers", meson_tests, "asan", ["unit", "sim", "tidy"], totals)
        step("protocol tests", pytests, ["tests/proto"], "asan", 1200, totals, PYTHON, PROTOCOL_WORKERS)


def check_tsan(totals):
    if step("build with TSan", build, "tsan", totals):
        step("unit and simulation", meson_tests, "tsan", ["unit", "sim"], totals)
        step("protocol tests", pytests, ["tests/proto"], "tsan", 2400, totals, PYTHON, PROTOCOL_WORKERS)


def test(totals):
    check(totals)
    step("data tests", data_tests, totals)
    if step("release build", build, "release", totals):
        step("Python package", package_tests, totals)
        step("end to end", pytests, ["tests/e2e"], "release", 1800, totals)
    if step("build with clang", build, "clang", totals):
        step("clang-tidy", clang_tidy, totals)
    step("fuzzing", fuzz_targets, totals)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["check", "check-tsan", "test"])
    what = parser.parse_args().what
    totals = Totals()
    {"check": check, "check-tsan": check_tsan, "test": test}[what](totals)
    for name in totals.failures:
        say(f"failed: {name}")
    if totals.skipped:
        say(f"skipped: {totals.skipped}")
    summary = f"{totals.passed} passed, {len(totals.failures)} failed"
    (ROOT / BUILD_DIRS["asan"]).mkdir(exist_ok=True)
    (ROOT / BUILD_DIRS["asan"] / "test-summary.txt").write_text(summary + "\n")
    say(summary)
    sys.exit(bool(totals.failures))


if __name__ == "__main__":
    main()
