"""Fixtures of the end-to-end tests: one server, two kernel clients, and a directory for each test.

The guests and the server live for the whole run. Without root, /dev/net/tun or a needed package the tests
skip and say why; with CI=true nothing skips: what is missing there is a failure.
"""

import collections
import os
import pathlib
import random
import re
import secrets
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import ganesha  # noqa: E402 (these need the path above)
import kernel_client  # noqa: E402
import shoal_server  # noqa: E402

Export = collections.namedtuple("Export", "address port path")
PEER = os.environ.get("SHOAL_E2E_PEER")
CLIENT_NUMBERS = range(100, 250)


def skip_unless_ci(reason):
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI=true, nothing may skip: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The shoald of the whole run; tests that stop or fill one use `own_server`."""
    if PEER:
        skip_unless_ci(f"needs shoald, the server under test is {PEER}")
    with shoal_server.Server(tmp_path_factory.mktemp("shoal")) as running:
        yield running


@pytest.fixture(scope="session")
def clients(tmp_path_factory):
    """Two kernel clients, booted at the same time."""
    reason = kernel_client.why_not()
    if reason:
        skip_unless_ci(reason)
    booted = kernel_client.boot(free_client_numbers(2), tmp_path_factory.mktemp("guests"))
    yield booted
    for client in booted:
        client.close()


def free_client_numbers(count):
    """Numbers that no other run on this machine has, as far as its tap devices show; begins at random."""
    free = [number for number in CLIENT_NUMBERS if not os.path.exists(f"/sys/class/net/kclient{number}")]
    return random.sample(free, count)


@pytest.fixture(scope="session")
def client(clients):
    return clients[0]


@pytest.fixture(scope="session")
def other_client(clients):
    return clients[1]


@pytest.fixture(scope="session")
def peer_export(tmp_path_factory):
    """What SHOAL_E2E_PEER names: "ganesha", or ADDRESS:PORT:PATH of a server that runs already."""
    if PEER != "ganesha":
        address, port, path = PEER.split(":")
        yield Export(address, int(port), path)
        return
    peer = ganesha.Ganesha(tmp_path_factory.mktemp("ganesha"))
    yield Export("127.0.0.1", peer.port, "/")
    peer.close()


@pytest.fixture(scope="session")
def export(request):
    """A file system of the server under test, with the address of its mount target."""
    if PEER:
        return request.getfixturevalue("peer_export")
    server = request.getfixturevalue("server")
    _, address = server.create_file_system()
    return Export(address, server.nfs_port, "/")


@pytest.fixture(scope="module")
def mount_point(client, export, request):
    """`export` on the first client, for the tests of one module."""
    name = request.module.__name__.removeprefix("test_")
    with client.mounted(export, name) as path:
        yield path


@pytest.fixture
def work(client, mount_point, request):
    """A new directory for one test, as a path in the guest."""
    path = f"{mount_point}/{directory_name(request)}"
    client.call("os.mkdir", path)
    return path


@pytest.fixture
def both(clients, export, request):
    """One new directory as both clients see it, each through its own mount: [(client, path), ...]."""
    name = directory_name(request)
    mounts = [client.mount(export, f"both-{name}") for client in clients]
    clients[0].call("os.mkdir", f"{mounts[0]}/{name}")
    yield [(client, f"{mount}/{name}") for client, mount in zip(clients, mounts)]
    for client, mount in zip(clients, mounts):
        client.unmount(mount)


def directory_name(request):
    """Of the test, and new also on a server that has seen an earlier run."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", request.node.name)[:100] + secrets.token_hex(3)
