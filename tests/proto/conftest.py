"""Fixtures of the NFS protocol tests: a mount target's address, sessions, and a fresh directory per test."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import nfs4  # noqa: E402 (needs the path above)
import nfs_place  # noqa: E402


@pytest.fixture(scope="module")
def address(server):
    return nfs_place.mount_target(server)


@pytest.fixture
def connect(address):
    """connect(**options): another client with a ready session. All are closed at the end."""
    sessions = []

    def make(**options):
        sessions.append(nfs4.connect(address, **options))
        return sessions[-1]

    yield make
    for session in sessions:
        session.conn.close()


@pytest.fixture
def session(connect):
    return connect()


@pytest.fixture
def conn(address):
    with nfs4.Conn(address) as opened:
        yield opened


@pytest.fixture
def directory(session):
    return nfs_place.new_directory(session)
