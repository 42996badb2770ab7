"""aws-cli, whose commands run one after the other in one process of a Python that has it (aws_in_process.py)."""

import json
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEBIANS = "/usr/bin/python3"


def current_python():
    """The Python beside which a current aws-cli is installed."""
    if not (ROOT / ".venv-tests").exists() and os.environ.get("CI") != "true":
        pytest.skip("tools/python-env.sh installs it")
    done = subprocess.run([ROOT / "tools/python-env.sh"], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


class AwsCli:
    """One aws-cli. `environment` has keys and region; `endpoint` None: it has AWS_ENDPOINT_URL, too, which Debian's does not
    read yet. Use it as a context manager."""

    class Refused(Exception):
        """What a command that failed has printed."""

    def __init__(self, environment, endpoint=None, python=DEBIANS):
        self.options = ["--output", "json", *(["--endpoint-url", endpoint] if endpoint is not None else [])]
        self.process = subprocess.Popen(
            [python, ROOT / "tests/lib/aws_in_process.py"], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**environment, "AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": ""})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        assert self.process.wait(30) == 0

    def run(self, *words):
        """(exit status, standard output, standard error) of `aws WORDS...`."""
        self.process.stdin.write(json.dumps([*words, *self.options]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def __call__(self, *words):
        """The answer of a command that must succeed; Refused tells what it printed."""
        status, out, err = self.run(*words)
        if status != 0:
            raise self.Refused(err)
        return json.loads(out) if out.strip() else {}
