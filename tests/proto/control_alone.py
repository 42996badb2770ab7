"""A control server alone (tests/unit/control/control_alone), as pytest fixtures and boto3 clients.

The same code as in shoald, without NFS and with volumes that are only directories: so the API is tested quickly
and volumes can be made to fail.
"""

import configparser
import os
import signal
import subprocess

import boto3
import botocore.config

from shoal_server import Server, connects, find_program, free_port, sanitizer_env, wait_until

REGION = "us-east-1"
ACCOUNT = "000000000000"


class ControlAlone:
    """One process and its directory; close() demands a clean exit."""

    def __init__(self, directory):
        self.directory = directory
        self.port = free_port()
        self.log_path = directory / "control.log"
        self.process = None
        self.clients = {}

    def start(self):
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [str(find_program("control_alone")), str(self.directory), str(self.port)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **sanitizer_env()})
        wait_until(lambda: connects("127.0.0.1", self.port), 30, "control_alone listens")

    def kill9(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(30)
        assert status == 0, f"control_alone exited with {status}:\n{self.log_path.read_text()[-8000:]}"
        Server.check_log(self)

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def credentials(self):
        """(access key id, secret), from the file that the first start made."""
        parser = configparser.ConfigParser()
        parser.read(self.directory / "admin-credentials")
        profile = parser["default"]
        return profile["aws_access_key_id"], profile["aws_secret_access_key"]

    def client(self, service="efs", **overrides):
        key_id, secret = self.credentials
        return boto3.client(service, **{
            "endpoint_url": self.endpoint, "region_name": REGION,
            "aws_access_key_id": key_id, "aws_secret_access_key": secret,
            "config": botocore.config.Config(retries={"total_max_attempts": 1}), **overrides})

    def environment(self):
        """The variables that make aws-cli use it."""
        key_id, secret = self.credentials
        return {"PATH": os.environ["PATH"], "AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret,
                "AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL": self.endpoint, "AWS_PAGER": "",
                "AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"}
