"""The Terraform AWS provider, unmodified, with AWS_ENDPOINT_URL alone: each resource of EFS made, read, changed, destroyed."""

import glob
import os
import pathlib
import re
import shutil
import subprocess

import pytest

# Where a provider that is installed on a machine without a network may lie.
MIRRORS = ["/usr/share/terraform/plugins", "/usr/local/share/terraform/plugins", "/opt/*",
           os.path.expanduser("~/.terraform.d/plugins")]
PROVIDER = "registry.terraform.io/hashicorp/aws"
MAIN = pathlib.Path(__file__).with_name("terraform.tf")


def provider_mirror():
    for pattern in MIRRORS:
        for found in glob.glob(f"{pattern}/{PROVIDER}"):
            return found.removesuffix(f"/{PROVIDER}")
    return None


pytestmark = pytest.mark.skipif(not shutil.which("terraform") or provider_mirror() is None,
                                reason="terraform and its AWS provider are not installed")


@pytest.fixture
def terraform(server, tmp_path):
    """terraform(words...) in a directory of its own: (status, what it said)."""
    (tmp_path / "main.tf").write_text(MAIN.read_text())
    (tmp_path / "rc").write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{provider_mirror()}"\n  }}\n}}\n')
    env = {**os.environ, **server.shell_env(), "TF_CLI_CONFIG_FILE": str(tmp_path / "rc"), "CHECKPOINT_DISABLE": "1",
           "AWS_EC2_METADATA_DISABLED": "true", "TF_IN_AUTOMATION": "1"}
    assert env["AWS_ENDPOINT_URL"] == server.endpoint

    def run(*words):
        done = subprocess.run(["terraform", *words, "-no-color"], cwd=tmp_path, env=env, capture_output=True, text=True,
                              timeout=300, check=False)
        return done.returncode, done.stdout + done.stderr

    status, said = run("init")
    assert status == 0, said
    return run


def test_every_resource_of_efs_is_made_read_changed_and_destroyed(server, terraform):
    efs = server.boto3_client()
    before = len(efs.describe_file_systems()["FileSystems"])
    status, said = terraform("apply", "-auto-approve")
    assert status == 0 and "Apply complete! Resources: 9 added" in said, said
    fs = efs.describe_file_systems(CreationToken="terraform")["FileSystems"][0]
    assert (fs["Encrypted"], fs["ThroughputMode"], fs["NumberOfMountTargets"]) == (True, "elastic", 3)
    assert sorted(re.findall(r'"(127[0-9.]+)"', said.split("Outputs:")[-1])) == sorted(
        target["IpAddress"] for target in efs.describe_mount_targets(FileSystemId=fs["FileSystemId"])["MountTargets"])
    status, said = terraform("plan", "-detailed-exitcode")
    assert status == 0, f"what it reads differs from what it wrote: {said}"
    status, said = terraform("apply", "-auto-approve", "-var", "throughput=bursting", "-var", "days=AFTER_60_DAYS")
    assert status == 0 and "1 changed" in said, said
    assert efs.describe_lifecycle_configuration(FileSystemId=fs["FileSystemId"])["LifecyclePolicies"][0] == \
        {"TransitionToIA": "AFTER_60_DAYS"}
    status, said = terraform("destroy", "-auto-approve")
    assert status == 0 and "9 destroyed" in said, said
    assert len(efs.describe_file_systems()["FileSystems"]) == before
