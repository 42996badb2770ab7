"""Mounting by name, with shoald's own DNS: the guest asks it, and a mount by name moves when its target is gone."""

import subprocess
import time

import pytest

import shoal_server

ZONES = ("us-east-1a", "us-east-1b")


class TwoTargets:
    """A file system with targets in two zones, whose addresses are on the guest's cable; the guest asks shoald for names."""

    def __init__(self, client, directory):
        self.client = client
        self.device = f"kclient{client.number}"
        self.addresses = [f"10.211.{client.number}.{last}" for last in (10, 26)]
        self.server = shoal_server.Server(directory, [
            "--set", "nfs.listen=127.0.0.0/8 10.211.0.0/16", "--set", f"dns.listen={client.host}:53", "--set", "dns.ttl=0"])
        for address in self.addresses:
            self.ip("add", address)

    def ip(self, verb, address, check=True):
        subprocess.run(["ip", "addr", verb, f"{address}/32", "dev", self.device], check=check, capture_output=True)

    def make(self):
        ec2, efs = self.server.boto3_client("ec2"), self.server.boto3_client()
        network = f"10.211.{self.client.number}"
        vpc = ec2.create_vpc(CidrBlock=f"{network}.0/24")["Vpc"]["VpcId"]
        group = ec2.create_security_group(GroupName="open", Description="x", VpcId=vpc)["GroupId"]
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 2049, "ToPort": 2049, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}])
        fs = efs.create_file_system(CreationToken="named")["FileSystemId"]
        shoal_server.wait_until(lambda: shoal_server.life_cycle_state(efs, fs) == "available", 30, "the file system")
        for zone, address, start in zip(ZONES, self.addresses, (0, 16)):
            subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=f"{network}.{start}/28", AvailabilityZone=zone)["Subnet"]["SubnetId"]
            efs.create_mount_target(FileSystemId=fs, SubnetId=subnet, IpAddress=address, SecurityGroups=[group])
        shoal_server.wait_until(lambda: {target["LifeCycleState"] for target in efs.describe_mount_targets(
            FileSystemId=fs)["MountTargets"]} == {"available"}, 30, "the mount targets")
        return fs

    def shoal(self, *words):
        return self.client.call("mounts.timed", [str(shoal_server.find_program("shoal")), *words])

    def mounted_address(self, point):
        options = self.client.call("mounts.mount_at", point)["super"].split(",")
        return dict(word.partition("=")[::2] for word in options)["addr"]

    def close(self):
        self.server.close()
        for address in self.addresses:
            self.ip("del", address, check=False)


@pytest.fixture
def targets(client, tmp_path):
    made = TwoTargets(client, tmp_path / "shoal")
    client.call("sharing.write_file", "/run/resolv.conf", f"nameserver {client.host}\noptions timeout:2 attempts:1\n".encode())
    client.run("mount", "--bind", "/run/resolv.conf", "/etc/resolv.conf")
    made.server.start()
    yield made
    client.run("umount", "/etc/resolv.conf")
    made.close()


def test_a_mount_by_name_moves_when_its_target_is_gone(targets):
    fs = targets.make()
    port = f"port={targets.server.nfs_port}"
    status, out, err, _ = targets.shoal("mount", "-o", port, f"{fs}:/", "/mnt/n-name")
    assert status == 0, (err, targets.server.log())
    assert "by DNS" in out or "DNS" in out, out
    first = targets.mounted_address("/mnt/n-name")
    assert first in targets.addresses
    targets.client.call("sharing.write_file", "/mnt/n-name/file", b"kept")
    # The name itself works for mount(8) and the kernel alone, too.
    name = f"{fs}.efs.us-east-1.shoal.internal"
    targets.client.call("os.makedirs", "/mnt/n-plain", exist_ok=True)
    targets.client.run("mount", "-t", "nfs4", "-o", f"{port},nfsvers=4.1", f"{name}:/", "/mnt/n-plain", timeout_s=60)
    assert targets.client.call("os.listdir", "/mnt/n-plain") == ["file"]
    targets.client.unmount("/mnt/n-plain")

    targets.ip("del", first)
    time.sleep(1)
    status, out, _, seconds = targets.shoal("health", "--timeout", "3", "/mnt/n-name")
    assert status == 1 and "hung" in out
    status, _, err, seconds = targets.shoal("remount", "-o", port, "/mnt/n-name")
    assert status == 0, (err, targets.server.log())
    assert seconds < 100
    second = targets.mounted_address("/mnt/n-name")
    assert second in targets.addresses and second != first
    assert targets.client.call("sharing.read_file", "/mnt/n-name/file") == b"kept"
    assert targets.client.call("mounts.settled", 60) == []
    status, out, err, _ = targets.shoal("umount", "/mnt/n-name")
    assert status == 0, err
