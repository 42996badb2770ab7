"""What no client sends on purpose: damaged records, wrong headers, malformed XDR, forged filehandles, and version 4.0
and 4.2 at the door. After each the server must still be there."""

import os
import random
import socket
import struct

import nfs4
from nfs4 import ROOT, compound_body, getfh, lookup, op, opaque, putfh, putrootfh, sequence, u32
import pytest


@pytest.fixture(autouse=True)
def survives(server, address):
    """The server lives, answers, and did not restart."""
    pid = server.pid
    yield
    with nfs4.Conn(address) as conn:
        assert conn.call(b"", procedure=0) == b""
    assert server.pid == pid and server.process.poll() is None


def call_header(xid=7, message=0, rpc=2, program=100003, version=4, procedure=1, cred=ROOT):
    return u32(xid, message, rpc, program, version, procedure) + cred + nfs4.AUTH_NONE


# --- records --------------------------------------------------------------------------------------

def test_null_is_answered_without_credentials(conn):
    assert conn.call(b"", procedure=0, cred=nfs4.AUTH_NONE) == b""


@pytest.mark.parametrize("size", [0, 1, 3, 4, 23, 39])
def test_a_record_too_short_to_be_a_call_closes_the_connection(conn, size):
    conn.send_record(call_header()[:size])
    with pytest.raises(nfs4.ConnectionClosed):
        conn.receive_record()


def test_an_oversized_record_closes_the_connection_before_it_is_sent(conn):
    conn.socket.sendall(u32(0x80000000 | 0x7FFFFFFF) + bytes(1 << 16))
    with pytest.raises(nfs4.ConnectionClosed):
        conn.receive_record()


def test_fragments_that_never_end_are_an_oversized_record_too(conn):
    conn.socket.settimeout(20)
    with pytest.raises((nfs4.ConnectionClosed, OSError)):
        for _ in range(64):
            conn.socket.sendall(u32(1 << 20) + bytes(1 << 20))
        conn.receive_record()


@pytest.mark.parametrize("fragment", [4, 7, 64])
def test_a_call_may_come_in_fragments(conn, fragment):
    client = nfs4.exchange_id(b"fragments", bytes(8))
    assert nfs4.Reply(conn.call(compound_body(client), fragment=fragment)).status == "OK"


def test_a_call_may_come_byte_by_byte(conn):
    data = call_header(xid=99, procedure=0)
    for byte in u32(0x80000000 | len(data)) + data:
        conn.socket.sendall(bytes([byte]))
    assert conn.receive_reply(99) == b""


def test_many_calls_may_be_under_way(conn):
    xids = {conn.send_call(b"", procedure=0) for _ in range(500)}
    answered = {struct.unpack(">I", conn.receive_record()[:4])[0] for _ in range(500)}
    assert answered == xids


def test_a_connection_that_ends_inside_a_record_is_forgotten(address):
    for size in (2, 4, 10):
        with nfs4.Conn(address) as conn:
            data = u32(0x80000000 | 1000) + call_header()
            conn.socket.sendall(data[:size])
            conn.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_random_bytes_are_refused(address):
    seed = int(os.environ.get("SEED", random.randrange(2**32)))
    print(f"SEED={seed}")
    chaos = random.Random(seed)
    for _ in range(60):
        with nfs4.Conn(address) as conn:
            conn.send_record(chaos.randbytes(chaos.randrange(400)))
            conn.socket.shutdown(socket.SHUT_WR)
            try:
                conn.receive_record()
            except nfs4.ConnectionClosed:
                pass


# --- RPC ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("options, expected", [
    ({"program": 100003, "version": 3}, ("accepted", 2)),   # PROG_MISMATCH
    ({"program": 100005}, ("accepted", 1)),                 # PROG_UNAVAIL: no mountd
    ({"procedure": 2}, ("accepted", 3)),                    # PROC_UNAVAIL
])
def test_other_programs_versions_and_procedures_are_refused(conn, options, expected):
    with pytest.raises(nfs4.RpcError) as refused:
        conn.call(b"", **options)
    assert refused.value.args == expected
    assert conn.call(b"", procedure=0) == b""


def test_another_rpc_version_is_denied(conn):
    conn.send_record(call_header(xid=5, rpc=3))
    with pytest.raises(nfs4.RpcError) as refused:
        conn.receive_reply(5)
    assert refused.value.args == ("denied", 0)


@pytest.mark.parametrize("cred", [
    u32(6, 4, 0),
    u32(1) + opaque(u32(1)),
    u32(1) + opaque(u32(1) + opaque(b"m") + u32(0, 0, 17, *range(17))),
], ids=["RPCSEC_GSS", "AUTH_SYS cut off", "too many groups"])
def test_credentials_that_are_not_served_are_denied(conn, cred):
    with pytest.raises(nfs4.RpcError) as refused:
        conn.compound(nfs4.exchange_id(b"x", bytes(8)), cred=cred)
    assert refused.value.args[0] == "denied"


def test_a_credential_longer_than_the_standard_allows_ends_badly_for_the_sender_only(conn):
    conn.send_record(u32(1, 0, 2, 100003, 4, 1) + u32(1) + opaque(bytes(401)) + nfs4.AUTH_NONE)
    try:
        assert struct.unpack(">I", conn.receive_record()[8:12])[0] == 1  # MSG_DENIED
    except nfs4.ConnectionClosed:
        pass


# --- COMPOUND -------------------------------------------------------------------------------------

@pytest.mark.parametrize("minor", [3, 4, 2**32 - 1])
def test_a_minor_version_beyond_ours_is_refused_with_no_results(conn, minor):
    reply = conn.compound(putrootfh(), minor=minor, tag=b"mine")
    assert (reply.status, reply.tag, reply.results) == ("MINOR_VERS_MISMATCH", b"mine", [])


@pytest.mark.parametrize("tag", [b"", b"a", b"four", "smörgås".encode(), b"x" * 512])
def test_the_tag_comes_back(session, tag):
    assert session.run(putrootfh(), tag=tag).ok().tag == tag


def test_a_tag_that_is_no_utf8_is_invalid(session):
    assert session.run(tag=b"\xff\xfe").status == "INVAL"


def test_an_empty_compound_is_a_success(conn):
    assert conn.compound().ok().results == []


def test_a_header_that_is_cut_off_is_garbage(conn):
    whole = compound_body(putrootfh(), tag=b"tag")
    for size in range(0, 16, 3):
        with pytest.raises(nfs4.RpcError) as refused:
            conn.call(whole[:size])
        assert refused.value.args == ("accepted", 4)


def test_an_unknown_operation_is_illegal_and_ends_the_request(session):
    reply = session.run(putrootfh(), op(9999), getfh())
    assert reply.status == "OP_ILLEGAL"
    assert [(r.op, r.status) for r in reply.results[1:]] == [("PUTROOTFH", "OK"), ("ILLEGAL", "OP_ILLEGAL")]


@pytest.mark.parametrize("number", [0, 1, 2, 59, 75, 2**32 - 1])  # none, none, none, ALLOCATE and REMOVEXATTR of 4.2
def test_operations_of_other_versions_are_illegal_in_4_1(session, number):
    assert session.run(op(number)).status == "OP_ILLEGAL"


@pytest.mark.parametrize("number", [20, 30, 35, 36, 39])  # those of version 4.0 that 4.1 must not implement
def test_operations_that_4_1_dropped_are_not_supported(session, number):
    assert session.run(op(number, bytes(64))).status == "NOTSUPP"


@pytest.mark.parametrize("number", [7, 19, 47, 49, 50, 51, 54, 56])
def test_operations_that_we_leave_out_are_not_supported(session, number):
    assert session.run(putrootfh(), op(number, bytes(64))).status == "NOTSUPP"


def test_operations_before_a_malformed_one_still_run(session, directory):
    good = nfs4.create(b"made")
    broken = op("LOOKUP", u32(1000) + b"short")
    reply = directory.run(good, putfh(directory.fh), broken)
    assert reply.status == "BADXDR"
    assert [r.status for r in reply.results[-3:]] == ["OK", "OK", "BADXDR"]
    assert directory.names() == [b"made"]


def test_fewer_operations_than_announced_are_malformed(session, directory):
    reply = directory.run(nfs4.create(b"made"), count=5)
    assert reply.status == "BADXDR"
    assert directory.names() == [b"made"]


MALFORMED = {
    "a filehandle of 129 bytes": op("PUTFH", opaque(bytes(129))),
    "a filehandle of 4 GiB": op("PUTFH", u32(2**32 - 1)),
    "a bitmap of 8 GiB": op("GETATTR", u32(2**31) + bytes(64)),
    "an owner of 1025 bytes": op("OPEN", u32(0, 3, 0) + bytes(8) + opaque(bytes(1025)) + u32(0, 0) + opaque(b"n")),
    "no such opentype": op("OPEN", u32(0, 3, 0) + bytes(8) + opaque(b"o") + u32(7)),
    "data of 4 GiB": op("WRITE", bytes(16) + bytes(8) + u32(2, 2**32 - 4)),
    "2^28 stateids": op("TEST_STATEID", u32(2**28)),
    "a bool that is 5": op("LOCK", u32(2, 0) + bytes(16) + u32(5)),
}


@pytest.mark.parametrize("broken", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_arguments_are_bad_xdr(session, broken):
    assert session.run(putrootfh(), broken).status == "BADXDR"
    session.run(putrootfh()).ok()


def test_requests_cut_off_anywhere_do_no_harm(session, directory):
    ops = (putfh(directory.fh), nfs4.open_(b"f", how=nfs4.UNCHECKED, values={nfs4.MODE: 0o644}),
           nfs4.write(nfs4.CURRENT, 0, b"data"), nfs4.close(nfs4.CURRENT), nfs4.readdir(attrs=[nfs4.TYPE]))
    whole = b"".join(ops)
    for size in range(0, len(whole), 5):
        seqid = session.seqids[0] + 1
        body = opaque(b"") + u32(1, 1 + len(ops)) + sequence(session.id, seqid) + whole[:size]
        assert nfs4.Reply(session.conn.call(body)).status == "BADXDR"
        session.seqids[0] = seqid


def test_randomly_damaged_requests_do_no_harm(connect, address):
    seed = int(os.environ.get("SEED", random.randrange(2**32)))
    print(f"SEED={seed}")
    chaos = random.Random(seed)
    session = connect()
    ops = [putrootfh(), nfs4.open_(b"chaos", how=nfs4.UNCHECKED, values={nfs4.MODE: 0o644}), getfh(),
           nfs4.write(nfs4.CURRENT, 0, b"data"), nfs4.getattr_(*range(60)), nfs4.lock(2, 0, 5, nfs4.CURRENT),
           nfs4.close(nfs4.CURRENT), putrootfh(), nfs4.readdir(attrs=[1, 4])]
    for _ in range(1500):
        damaged = bytearray(b"".join(ops))
        for _ in range(chaos.randrange(1, 6)):
            damaged[chaos.randrange(len(damaged))] = chaos.randrange(256)
        seqid = session.seqids[0] + 1
        body = opaque(b"") + u32(1, 1 + len(ops)) + sequence(session.id, seqid) + bytes(damaged)
        try:
            answer = session.conn.call(body)
        except nfs4.RpcError:
            continue
        if struct.unpack(">I", answer[:4])[0] not in (nfs4.STATUS["SEQ_MISORDERED"],):
            session.seqids[0] = seqid


# --- filehandles ----------------------------------------------------------------------------------

def test_every_damaged_bit_of_a_filehandle_is_noticed(session, directory):
    fh = directory.make(b"file")
    for at in range(len(fh)):
        forged = bytearray(fh)
        forged[at] ^= 1 << at % 8
        assert session.run(putfh(bytes(forged))).status == "BADHANDLE", f"byte {at}"


@pytest.mark.parametrize("forge", [
    lambda fh: fh[:-1], lambda fh: fh + b"\0", lambda fh: b"", lambda fh: bytes(len(fh)), lambda fh: b"\xff" * 128,
], ids=["shorter", "longer", "empty", "zeros", "as long as can be"])
def test_filehandles_of_other_sizes_and_contents_are_bad(session, directory, forge):
    assert session.run(putfh(forge(directory.fh))).status == "BADHANDLE"


def test_the_filehandle_of_a_removed_file_is_stale(session, directory):
    fh = directory.make(b"file")
    directory.run(nfs4.remove(b"file")).ok()
    assert session.run(putfh(fh), nfs4.getattr_(nfs4.SIZE)).status == "STALE"


def test_a_new_file_does_not_answer_for_an_old_filehandle(session, directory):
    for _ in range(20):
        fh = directory.make(b"file")
        directory.run(nfs4.remove(b"file")).ok()
    directory.make(b"file", b"new")
    assert session.run(putfh(fh), nfs4.getattr_(nfs4.SIZE)).status == "STALE"


def test_operations_want_a_filehandle(session):
    for wants in (getfh(), lookup(b"x"), nfs4.lookupp(), nfs4.getattr_(1), nfs4.readdir(), nfs4.savefh(),
                  nfs4.read(nfs4.ANONYMOUS, 0, 1), nfs4.access(), nfs4.remove(b"x"), nfs4.commit(),
                  nfs4.secinfo(b"x"), nfs4.secinfo_no_name(), nfs4.open_(b"x")):
        assert session.run(wants).status == "NOFILEHANDLE"
    assert session.run(nfs4.restorefh()).status in ("NOFILEHANDLE", "RESTOREFH")
    for wants in (nfs4.rename(b"a", b"b"), nfs4.link(b"a")):
        assert session.run(putrootfh(), wants).status == "NOFILEHANDLE"


def test_saved_filehandles_come_back(session, directory):
    fh = directory.make(b"file")
    reply = session.run(putfh(fh), nfs4.savefh(), putrootfh(), nfs4.restorefh(), getfh()).ok()
    assert reply.last.fh == fh


def test_secinfo_offers_auth_sys_and_consumes_the_filehandle(session, directory):
    directory.make(b"file")
    found = directory.run(nfs4.secinfo(b"file")).ok().last
    assert 1 in found.flavors
    assert directory.run(nfs4.secinfo(b"file"), getfh()).status == "NOFILEHANDLE"
    assert 1 in session.run(putrootfh(), nfs4.secinfo_no_name()).ok().last.flavors
    assert session.run(putrootfh(), nfs4.secinfo_no_name(), getfh()).status == "NOFILEHANDLE"
    assert directory.run(nfs4.secinfo(b"nothing")).status == "NOENT"


# --- other versions at the door -------------------------------------------------------------------

def test_version_4_0_is_answered_without_a_session(conn):
    reply = conn.compound(putrootfh(), getfh(), nfs4.getattr_(nfs4.TYPE), minor=0).ok()
    assert reply.last.attrs == {nfs4.TYPE: nfs4.DIR}
    assert conn.compound(sequence(bytes(16), 1), minor=0).status == "OP_ILLEGAL"


def test_version_4_0_opens_nothing_without_a_clientid(conn):
    opening = nfs4.open_(b"zero", how=nfs4.UNCHECKED, clientid=12345)
    assert conn.compound(putrootfh(), opening, minor=0).status == "STALE_CLIENTID"


def test_version_4_2_speaks_in_the_same_sessions(session):
    session.run(putrootfh(), getfh(), minor=2).ok()
    assert session.run(putrootfh(), op(70, bytes(64)), minor=2).status == "NOTSUPP"  # WRITE_SAME
