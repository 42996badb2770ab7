"""Version 4.0's requests that are sent again: done once, answered as before. RFC 7530 sections 3.1.1 and 9.1."""

import os
import socket
import struct

import nfs4
from nfs4 import create, getattr_, getfh, putfh, remove, rename, setattr_
import pytest
from shoal_server import wait_until


def body_of(directory, *ops):
    """A COMPOUND of version 4.0 that works in a directory."""
    return nfs4.compound_body(putfh(directory.fh), *ops, minor=0)


def send(conn, xid, body, cred=nfs4.ROOT):
    conn.send_record(nfs4.u32(xid, 0, 2, 100003, 4, 1) + cred + nfs4.AUTH_NONE + body)


def call(conn, xid, body, cred=nfs4.ROOT):
    """The reply's bytes to a call with an xid of the test's choice."""
    send(conn, xid, body, cred)
    return conn.receive_reply(xid)


def status(reply):
    return nfs4.Reply(reply).status


def reset(conn):
    """Ends the connection as a network fault does: by RST."""
    conn.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()


def wait_for(directory, names):
    wait_until(lambda: directory.names() == names, 20, f"the names {names}")


@pytest.fixture
def xid():
    """One that no other test has used."""
    return struct.unpack(">I", os.urandom(4))[0]


# --- retries --------------------------------------------------------------------------------------

def test_a_repeated_mkdir_is_answered_with_the_same_bytes_and_made_once(conn, directory, xid):
    body = body_of(directory, create(b"made"), getfh(), getattr_(nfs4.FILEID, nfs4.CHANGE))
    first = call(conn, xid, body)
    assert status(first) == "OK"
    assert call(conn, xid, body) == first
    directory.run(remove(b"made")).ok()
    assert call(conn, xid, body) == first
    assert directory.names() == []


def test_every_change_without_an_owner_is_remembered(conn, directory, xid):
    fh = directory.make(b"file", b"12345")
    directory.mkdir(b"empty")
    bodies = [
        body_of(directory, remove(b"empty")),
        body_of(directory, nfs4.savefh(), rename(b"file", b"renamed")),
        nfs4.compound_body(putfh(fh), nfs4.savefh(), putfh(directory.fh), nfs4.link(b"second"), minor=0),
        body_of(directory, create(b"symlink", nfs4.LNK, data=b"target")),
        nfs4.compound_body(putfh(fh), setattr_({nfs4.SIZE: 2}), minor=0),
    ]
    first = [call(conn, xid + i, body) for i, body in enumerate(bodies)]
    assert [status(reply) for reply in first] == ["OK"] * len(bodies)
    directory.run(remove(b"second")).ok()
    session = directory.session
    session.run(putfh(fh), nfs4.write(nfs4.ANONYMOUS, 0, b"abcdefgh")).ok()
    assert [call(conn, xid + i, body) for i, body in enumerate(bodies)] == first
    assert sorted(directory.names()) == [b"renamed", b"symlink"]
    assert directory.content(fh) == b"abcdefgh"


def test_a_failure_is_remembered_too(conn, directory, xid):
    body = body_of(directory, remove(b"later"))
    first = call(conn, xid, body)
    assert status(first) == "NOENT"
    directory.mkdir(b"later")
    assert call(conn, xid, body) == first
    assert directory.names() == [b"later"]


def test_a_lost_reply_is_given_over_the_next_connection(address, directory, xid):
    body = body_of(directory, create(b"made"), getfh())
    lost = nfs4.Conn(address)
    send(lost, xid, body)
    wait_for(directory, [b"made"])
    reset(lost)
    with nfs4.Conn(address) as again:
        found = call(again, xid, body)
        assert status(found) == "OK"
        directory.run(remove(b"made")).ok()
        assert call(again, xid, body) == found
    assert directory.names() == []


def test_a_lost_reply_is_given_to_the_same_port(server, address, directory, xid):
    """Linux comes back from where it was."""
    groups = server.boto3_client("ec2").describe_security_groups(GroupNames=["default"])["SecurityGroups"]
    server.shoal("host", "add", "127.77.1.2", "--group", groups[0]["GroupId"], "--data", server.data_dir)
    body = body_of(directory, create(b"made"))
    lost = nfs4.Conn(address, source=("127.77.1.2", 0))  # where no one else takes the port meanwhile
    place = lost.socket.getsockname()
    send(lost, xid, body)
    wait_for(directory, [b"made"])
    reset(lost)
    with nfs4.Conn(address, source=place) as again:
        assert status(call(again, xid, body)) == "OK"


def test_a_request_that_still_runs_is_not_begun_again(address, directory, xid):
    """Copies are there before the first one is durable; whoever comes second gets the first one's answer. On a slow server the
    copy of the other connection may come after that answer was acknowledged: it is no retry then."""
    retries = 0
    with nfs4.Conn(address) as one, nfs4.Conn(address) as other:
        for i in range(40):
            body = body_of(directory, create(b"made-%d" % i), getfh())
            send(one, xid + i, body)
            send(one, xid + i, body)
            send(other, xid + i, body)
            first = one.receive_reply(xid + i)
            assert one.receive_reply(xid + i) == first and status(first) == "OK"
            late = other.receive_reply(xid + i)
            assert late == first or status(late) == "EXIST"
            retries += late == first
    assert retries > 0


# --- not retries ----------------------------------------------------------------------------------

def test_the_same_xid_with_another_request_is_no_retry(conn, directory, xid):
    assert status(call(conn, xid, body_of(directory, create(b"one")))) == "OK"
    assert status(call(conn, xid, body_of(directory, create(b"two")))) == "OK"
    assert sorted(directory.names()) == [b"one", b"two"]


def test_the_same_request_with_another_xid_is_no_retry(conn, directory, xid):
    body = body_of(directory, create(b"made"))
    assert status(call(conn, xid, body)) == "OK"
    assert status(call(conn, xid + 1, body)) == "EXIST"


def test_the_same_request_of_another_user_is_no_retry(conn, directory, xid):
    body = body_of(directory, create(b"made"))
    assert status(call(conn, xid, body)) == "OK"
    assert status(call(conn, xid, body, nfs4.auth_sys(uid=1000, gid=1000))) == "EXIST"
    assert status(call(conn, xid, body, nfs4.auth_sys(machine=b"another"))) == "EXIST"


def test_a_client_that_got_its_reply_and_left_does_not_answer_the_next_one(address, directory, xid):
    """Programs exist whose xids begin anew with every run."""
    body = body_of(directory, create(b"made"))
    for _ in range(3):
        with nfs4.Conn(address) as conn:
            assert status(call(conn, xid, body)) == "OK"
        directory.run(remove(b"made")).ok()


def test_a_client_that_got_its_reply_and_stays_does_not_answer_another_one(address, directory, xid):
    body = body_of(directory, create(b"made"))
    with nfs4.Conn(address) as one, nfs4.Conn(address) as other:
        assert status(call(one, xid, body)) == "OK"
        one.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)  # acknowledges what was received, now
        assert status(call(other, xid, body)) == "EXIST"
