"""Every operation, with its paginators and waiters, by boto3 and by two releases of aws-cli: Debian's and a current one."""

import json
import pathlib
import re

import botocore
import botocore.exceptions
import pytest

import every_operation
from aws_cli import DEBIANS, AwsCli, current_python
from control_alone import ControlAlone

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


class Commands:
    """An aws-cli as a driver."""

    Refused = AwsCli.Refused

    def __init__(self, cli):
        self.cli, self.called = cli, set()

    def knows(self, service, operation):
        status, _, _ = self.cli.run(service, snake(operation).replace("_", "-"), "--generate-cli-skeleton")
        return status == 0

    def command(self, service, words, parameters):
        return self.cli(service, *words, "--cli-input-json", json.dumps(parameters))

    def call(self, service, operation, **parameters):
        self.called.add((service, operation))
        return self.command(service, [snake(operation).replace("_", "-")], parameters)

    def pages(self, service, operation, size, **parameters):
        """By its own paginator, when it has one; those of EFS again in parts by --max-items, which must come to the same."""
        self.called.add((service, operation))
        name = snake(operation).replace("_", "-")
        status, _, _ = self.cli.run(service, name, "--page-size", str(size), "--generate-cli-skeleton")
        if status != 0:
            return only_list(self.command(service, [name], parameters))
        whole = only_list(self.command(service, [name, "--page-size", str(size)], parameters))
        parts, token = [], []
        while service == "efs":
            answer = self.command(service, [name, "--max-items", "1", *token], parameters)
            parts += only_list(answer) if whole else []
            if "NextToken" not in answer:
                break
            token = ["--starting-token", answer["NextToken"]]
        assert parts == whole or service != "efs", operation
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


@pytest.mark.parametrize("which", ["Debian's", "current"])
def test_aws_cli(control, which):
    """The current one gets no option more than the variables of its environment."""
    newer = {("efs", "UpdateFileSystemProtection"), ("kms", "RotateKeyOnDemand")}
    known = {"Debian's": (control.endpoint, DEBIANS), "current": (None, current_python)}
    endpoint, python = known[which]
    with AwsCli(control.environment(), endpoint, python() if callable(python) else python) as cli:
        driver = Commands(cli)
        every_operation.run(driver)
    assert rows() - driver.called == (newer if which == "Debian's" else set())


def test_each_service_may_have_a_variable_of_its_own(control):
    """AWS_ENDPOINT_URL_EFS and its like, without AWS_ENDPOINT_URL."""
    environment = {name: value for name, value in control.environment().items() if name != "AWS_ENDPOINT_URL"}
    environment |= {f"AWS_ENDPOINT_URL_{service}": control.endpoint for service in ("EFS", "EC2", "STS", "IAM")}
    with AwsCli(environment, None, current_python()) as cli:
        assert cli("efs", "describe-file-systems")["FileSystems"] == []
        assert len(cli("ec2", "describe-subnets")["Subnets"]) == 3
        assert cli("sts", "get-caller-identity")["Account"]
        assert cli("iam", "list-users")["Users"] == []
