"""Every operation, with its paginators and waiters, by boto3 and by two releases of aws-cli: Debian's and a current one."""

import json
import os
import pathlib
import re
import subprocess

import botocore
import botocore.exceptions
import pytest

import every_operation
from control_alone import ControlAlone
from shoal_server import sanitizer_env

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVICES = {"EC2": "ec2", "IAM": "iam", "STS": "sts", "KMS": "kms"}


def rows():
    """(service, operation) of every row of the lists, but for our own service's."""
    control = ROOT / "src/control"
    found = {("efs", name) for name in re.findall(r"^ACTION\(\s*(\w+)", (control / "actions.def").read_text(), re.MULTILINE)}
    for name in ("queries.def", "targets.def"):
        text = (control / name).read_text()
        found |= {(SERVICES[service], operation) for service, operation in
                  re.findall(r"^(?:QUERY|TARGET)\(\s*(\w+),\s*(\w+)", text, re.MULTILINE) if service in SERVICES}
    return found


def snake(name):
    return botocore.xform_name(name)


class Boto3:
    """boto3 as it is installed."""

    Refused = botocore.exceptions.ClientError

    def __init__(self, control):
        self.clients = {service: control.client(service) for service in ("efs", *SERVICES.values())}
        self.called = set()

    def knows(self, service, operation):
        return operation in self.clients[service].meta.service_model.operation_names

    def call(self, service, operation, **parameters):
        self.called.add((service, operation))
        return getattr(self.clients[service], snake(operation))(**parameters)

    def pages(self, service, operation, size, **parameters):
        self.called.add((service, operation))
        client = self.clients[service]
        if not client.can_paginate(snake(operation)):  # an older model has no paginator where EFS has pages
            return only_list(getattr(client, snake(operation))(**parameters))
        paginator = client.get_paginator(snake(operation))
        key = paginator.result_keys[0].expression
        entries = []
        for page in paginator.paginate(**parameters, PaginationConfig={"PageSize": size}):
            assert len(page[key]) <= size or service == "iam"  # IAM may send more, and ours does where five are all
            entries += page[key]
        return entries

    def wait(self, service, waiter, **parameters):
        self.clients[service].get_waiter(snake(waiter)).wait(**parameters, WaiterConfig={"Delay": 1, "MaxAttempts": 10})


def only_list(answer):
    return next(value for value in answer.values() if isinstance(value, list))


class AwsCli:
    """An aws-cli, whose commands run one after the other in one process of `python`."""

    class Refused(Exception):
        """What it printed."""

    def __init__(self, control, python):
        environment = {**control.environment(), "AWS_EC2_METADATA_DISABLED": "true", **sanitizer_env()}
        self.process = subprocess.Popen(
            [python, ROOT / "tests/lib/aws_in_process.py"], env=environment, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE)
        self.endpoint = control.endpoint
        self.called, self.known = set(), {}

    def run(self, *words):
        self.process.stdin.write(json.dumps(["--endpoint-url", self.endpoint, "--output", "json", *words]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(30) == 0

    def knows(self, service, operation):
        status, _, _ = self.run(service, snake(operation).replace("_", "-"), "--generate-cli-skeleton")
        return status == 0

    def command(self, service, words, parameters):
        status, out, err = self.run(service, *words, "--cli-input-json", json.dumps(parameters))
        if status != 0:
            raise self.Refused(err)
        return json.loads(out) if out.strip() else {}

    def call(self, service, operation, **parameters):
        self.called.add((service, operation))
        return self.command(service, [snake(operation).replace("_", "-")], parameters)

    def pages(self, service, operation, size, **parameters):
        """By its own paginator, when it has one; and again in parts by --max-items, which must come to the same."""
        self.called.add((service, operation))
        name = snake(operation).replace("_", "-")
        status, _, _ = self.run(service, name, "--page-size", str(size), "--generate-cli-skeleton")
        if status != 0:
            return only_list(self.command(service, [name], parameters))
        whole = only_list(self.command(service, [name, "--page-size", str(size)], parameters))
        parts, token = [], []
        while True:
            answer = self.command(service, [name, "--max-items", "1", *token], parameters)
            parts += only_list(answer) if whole else []
            if "NextToken" not in answer:
                break
            token = ["--starting-token", answer["NextToken"]]
        assert parts == whole, (service, operation)
        return whole

    def wait(self, service, waiter, **parameters):
        self.command(service, ["wait", snake(waiter).replace("_", "-")], parameters)


@pytest.fixture
def control(tmp_path):
    running = ControlAlone(tmp_path)
    running.start()
    yield running
    running.close()


def test_boto3(control):
    driver = Boto3(control)
    every_operation.run(driver)
    assert rows() - driver.called <= {("efs", "UpdateFileSystemProtection"), ("kms", "RotateKeyOnDemand")}


def current_python():
    """The Python beside which a current aws-cli is installed."""
    if not (ROOT / ".venv-tests").exists() and os.environ.get("CI") != "true":
        pytest.skip("tools/python-env.sh installs it")
    done = subprocess.run([ROOT / "tools/python-env.sh"], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("which", ["Debian's", "current"])
def test_aws_cli(control, which):
    driver = AwsCli(control, "/usr/bin/python3" if which == "Debian's" else current_python())
    every_operation.run(driver)
    driver.close()
    newer = {("efs", "UpdateFileSystemProtection"), ("kms", "RotateKeyOnDemand")}
    assert rows() - driver.called == (newer if which == "Debian's" else set())
