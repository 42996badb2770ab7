"""kill -9, again and again, under calls of the API: the catalog is consistent, and each resource is there or is not.

Clients in threads make, change and delete; each keeps a journal of what was answered. After each death every answer must
still be true: what was made is there with all that was asked for, what was deleted is gone. Of the one call that each
client had on its way when the server died either outcome is right, but no half of one.
"""

import contextlib
import http.client
import json
import random
import threading
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials

from control_alone import REGION, ControlAlone
from shoal_server import wait_until

API = "/2015-02-01"
CLIENTS = 6
ROUNDS = 10


class Lost(Exception):
    """The server died before it answered."""


class Client(threading.Thread):
    """One that works until the server dies. `things` maps a name to what must be true of it: a dict of what was asked for, or
    None when it must be gone; `doubt` has what the call that was lost may have made of one."""

    def __init__(self, control, number, subnets, seed):
        super().__init__()
        self.control, self.number, self.subnets = control, number, subnets
        self.random = random.Random(seed)
        self.serial = 0
        self.file_systems, self.points, self.targets = {}, {}, {}
        self.doubt = None
        self.failure = None

    def begin(self):
        """Makes the thread anew for the next life of the server."""
        threading.Thread.__init__(self)
        self.doubt = None
        self.start()

    def run(self):
        self.http = http.client.HTTPConnection("127.0.0.1", self.control.port, timeout=60)
        self.signer = botocore.auth.SigV4Auth(
            botocore.credentials.Credentials(*self.control.credentials), "elasticfilesystem", REGION)
        with contextlib.suppress(Lost):
            while self.failure is None:
                try:
                    self.step()
                except AssertionError as wrong:
                    self.failure = wrong
        self.http.close()

    def call(self, method, path, body=None):
        """(status, answer)."""
        data = json.dumps(body).encode() if body is not None else b""
        request = botocore.awsrequest.AWSRequest(method=method, url=self.control.endpoint + path, data=data)
        self.signer.add_auth(request)
        try:
            self.http.request(method, path, data or None, dict(request.headers))
            answer = self.http.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            raise Lost from None
        return answer.status, json.loads(text) if text else {}

    def name(self, kind):
        self.serial += 1
        return f"{kind}-{self.number}-{self.serial}"

    def some(self, things):
        alive = [name for name, wanted in things.items() if wanted is not None]
        return self.random.choice(alive) if alive else None

    def step(self):
        ready = [name for name, wanted in self.file_systems.items() if wanted is not None]
        if len(ready) < 2:
            self.make_file_system()
            return
        self.random.choice([self.make_file_system, self.make_point, self.make_point, self.make_point, self.tag_point,
                            self.delete_point, self.delete_point, self.make_target, self.delete_target, self.set_policy,
                            self.delete_file_system])()

    def make_file_system(self):
        token = self.name("fs")
        wanted = {"tag": token, "policy": None}
        self.doubt = (self.file_systems, token, wanted)
        status, answer = self.call("POST", f"{API}/file-systems", {
            "CreationToken": token, "Tags": [{"Key": "of", "Value": token}]})
        assert status == 201, answer
        self.file_systems[token] = {**wanted, "id": answer["FileSystemId"]}
        self.doubt = None
        wait_until(lambda: self.call("GET", f"{API}/file-systems?CreationToken={token}")[1]["FileSystems"][0]
                   ["LifeCycleState"] == "available", 30, "available")

    def make_point(self):
        token, fs = self.name("point"), self.file_systems[self.some(self.file_systems)]
        wanted = {"fs": fs["id"], "tag": None}
        self.doubt = (self.points, token, wanted)
        status, answer = self.call("POST", f"{API}/access-points", {
            "ClientToken": token, "FileSystemId": fs["id"], "PosixUser": {"Uid": 7, "Gid": 8}})
        if status == 409:  # its file system is still being made anew by a server that has just started
            assert answer["ErrorCode"] == "IncorrectFileSystemLifeCycleState", answer
        else:
            assert status == 200, answer
            self.points[token] = {**wanted, "id": answer["AccessPointId"]}
        self.doubt = None

    def tag_point(self):
        token = self.some(self.points)
        if token is None:
            return
        value, point = self.name("value"), self.points[token]
        self.doubt = (self.points, token, {**point, "tag": value})
        status, answer = self.call("POST", f"{API}/resource-tags/{point['id']}", {"Tags": [{"Key": "t", "Value": value}]})
        assert status == 200, answer
        self.points[token] = {**point, "tag": value}
        self.doubt = None

    def delete_point(self):
        token = self.some(self.points)
        if token is None:
            return
        self.doubt = (self.points, token, None)
        status, answer = self.call("DELETE", f"{API}/access-points/{self.points[token]['id']}")
        assert status == 204, answer
        self.points[token] = None
        self.doubt = None

    def make_target(self):
        token = self.some(self.file_systems)
        fs = self.file_systems[token]
        if self.targets.get(token) is not None:
            return
        self.doubt = (self.targets, token, {"fs": fs["id"]})
        status, answer = self.call("POST", f"{API}/mount-targets", {
            "FileSystemId": fs["id"], "SubnetId": self.subnets[self.number % len(self.subnets)]})
        if status == 409:  # the one before it is still being deleted
            assert answer["ErrorCode"] in ("MountTargetConflict", "IncorrectFileSystemLifeCycleState"), answer
        else:
            assert status == 200, answer
            self.targets[token] = {"fs": fs["id"], "id": answer["MountTargetId"]}
        self.doubt = None

    def delete_target(self):
        token = self.some(self.targets)
        if token is None:
            return
        self.doubt = (self.targets, token, None)
        status, answer = self.call("DELETE", f"{API}/mount-targets/{self.targets[token]['id']}")
        assert status == 204, answer
        self.targets[token] = None
        self.doubt = None

    def set_policy(self):
        token = self.some(self.file_systems)
        fs = self.file_systems[token]
        policy = json.dumps({"Version": "2012-10-17", "Id": self.name("policy"), "Statement": [
            {"Effect": "Allow", "Principal": "*", "Action": "elasticfilesystem:ClientMount"}]})
        self.doubt = (self.file_systems, token, {**fs, "policy": policy})
        status, answer = self.call("PUT", f"{API}/file-systems/{fs['id']}/policy", {"Policy": policy})
        if status == 409:
            assert answer["ErrorCode"] == "IncorrectFileSystemLifeCycleState", answer
        else:
            assert status == 200, answer
            self.file_systems[token] = {**fs, "policy": policy}
        self.doubt = None

    def delete_file_system(self):
        bare = [name for name, wanted in self.file_systems.items()
                if wanted is not None and self.targets.get(name) is None]
        if len(bare) < 3:
            return
        token = self.random.choice(bare)
        self.doubt = (self.file_systems, token, None)
        status, answer = self.call("DELETE", f"{API}/file-systems/{self.file_systems[token]['id']}")
        if status == 409:  # a target of its is still being deleted
            assert answer["ErrorCode"] == "FileSystemInUse", answer
        else:
            assert status == 204, answer
            for point, wanted in self.points.items():
                if wanted is not None and wanted["fs"] == self.file_systems[token]["id"]:
                    self.points[point] = None
            self.file_systems[token] = None
        self.doubt = None


def everything(control):
    """(file systems, access points, mount targets) once nothing is on its way any more."""
    efs = control.client()

    def settled():
        found = ([entry for page in efs.get_paginator("describe_file_systems").paginate() for entry in page["FileSystems"]],
                 points_of(efs), [])
        for fs in found[0]:
            try:
                found[2].extend(efs.describe_mount_targets(FileSystemId=fs["FileSystemId"])["MountTargets"])
            except efs.exceptions.FileSystemNotFound:
                return None  # it was on its way out
        if sum(fs["NumberOfMountTargets"] for fs in found[0]) != len(found[2]):
            return None  # one went between the two looks; it has to come right in the end
        return found if all(entry["LifeCycleState"] == "available" for kind in found for entry in kind) else None

    return wait_until(settled, 60, "nothing is on its way")


def points_of(efs):
    points, token = [], {}
    while True:
        page = efs.describe_access_points(MaxResults=1000, **token)
        points += page["AccessPoints"]
        if "NextToken" not in page:
            return points
        token = {"NextToken": page["NextToken"]}


def agree(client, things, found, is_as_wanted):
    """Compares a client's journal with what there is, and writes into the journal what the lost call has come to."""
    for name, wanted in list(things.items()):
        seen = found.get(name)
        allowed = [wanted]
        if client.doubt is not None and client.doubt[0] is things and client.doubt[1] == name:
            allowed.append(client.doubt[2])
        matching = [one for one in allowed if (seen is None if one is None else seen is not None and is_as_wanted(one, seen))]
        assert matching, (name, allowed, seen)
        things[name] = None if matching[0] is None else {**matching[0], "id": id_of(seen)}
    if client.doubt is not None and client.doubt[0] is things and client.doubt[1] not in things:
        name, wanted = client.doubt[1:]
        if name in found:
            assert is_as_wanted(wanted, found[name]), (name, wanted, found[name])
            things[name] = {**wanted, "id": id_of(found[name])}


def id_of(seen):
    return seen.get("AccessPointId") or seen.get("MountTargetId") or seen["FileSystemId"]


def check(control, clients):
    file_systems, points, targets = everything(control)
    efs = control.client()
    by_token = {fs["CreationToken"]: fs for fs in file_systems}
    ids = {fs["FileSystemId"] for fs in file_systems}
    assert len(by_token) == len(file_systems), "two have one token"
    assert {entry["FileSystemId"] for entry in points + targets} <= ids, "parts of what is gone"
    for fs in file_systems:
        count = sum(target["FileSystemId"] == fs["FileSystemId"] for target in targets)
        assert fs["NumberOfMountTargets"] == count <= 1
        assert (control.directory / "fs" / fs["FileSystemId"]).is_dir()
    assert len({target["IpAddress"] for target in targets}) == len(targets)
    wait_until(lambda: {path.name for path in (control.directory / "fs").iterdir()} == ids, 30, "no volume of what is gone")

    def fs_is(wanted, seen):
        policy = None
        with contextlib.suppress(efs.exceptions.PolicyNotFound):
            policy = efs.describe_file_system_policy(FileSystemId=seen["FileSystemId"])["Policy"]
        return policy == wanted["policy"] and seen["Tags"] == [{"Key": "of", "Value": wanted["tag"]}]

    def point_is(wanted, seen):
        tags = [] if wanted["tag"] is None else [{"Key": "t", "Value": wanted["tag"]}]
        return seen["FileSystemId"] == wanted["fs"] and seen["Tags"] == tags and seen["PosixUser"] == {"Uid": 7, "Gid": 8}

    for client in clients:
        assert client.failure is None, client.failure
        agree(client, client.file_systems, by_token, fs_is)
        gone = {name for name, wanted in client.file_systems.items() if wanted is None}
        alive = {wanted["id"] for wanted in client.file_systems.values() if wanted is not None}
        for name, wanted in client.points.items():  # those of a file system whose deletion was lost, and happened
            if wanted is not None and wanted["fs"] not in alive:
                client.points[name] = None
        agree(client, client.points, {point["ClientToken"]: point for point in points}, point_is)
        tokens = {fs["FileSystemId"]: token for token, fs in by_token.items()}
        agree(client, client.targets, {tokens[target["FileSystemId"]]: target for target in targets},
              lambda wanted, seen: seen["FileSystemId"] == wanted["fs"])
        assert not any(client.targets.get(name) for name in gone)


def test_what_was_answered_is_true_after_every_death(tmp_path):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    control = ControlAlone(tmp_path)
    control.start()
    subnets = [subnet["SubnetId"] for subnet in control.client("ec2").describe_subnets()["Subnets"]]
    clients = [Client(control, number, subnets, chance.random()) for number in range(CLIENTS)]
    for _ in range(ROUNDS):
        for client in clients:
            client.begin()
        threading.Event().wait(chance.uniform(0.05, 0.9))
        control.kill9()
        for client in clients:
            client.join()
        control.start()
        check(control, clients)
    made = sum(client.serial for client in clients)
    assert made > 10 * CLIENTS, f"only {made} calls"
    control.close()
