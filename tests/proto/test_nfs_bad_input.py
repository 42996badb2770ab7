"""Requests that a correct client does not send, as a table: each row is a request and the status that the RFC names for it.

While they are made another client writes, reads and holds a lock; nothing of it may fail. RFC 8881 where no other is
named. What is wrong below NFS (records, RPC headers, XDR) is in test_nfs_wire.py, sessions' own errors are in test_nfs_session.py.
"""

import threading
import types

import nfs4
import nfs40
import nfs_place
import pytest
from nfs4 import op, opaque, putfh, stateid_bytes, u32, u64

HUGE = 2**32 - 1


class Bystander(threading.Thread):
    """A client of its own that goes on with its work; `failure` is what stopped it."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.session = nfs4.connect(address)
        self.directory = nfs_place.new_directory(self.session)
        self.fh, self.stateid = self.directory.open(b"mine")
        self.lock = self.session.run(putfh(self.fh), nfs4.lock(nfs4.WRITE_LT, 0, 100, self.stateid)).ok()
        self.rounds = 0
        self.failure = None
        self.stopping = threading.Event()

    def run(self):
        try:
            while not self.stopping.is_set():
                data = b"round %d" % self.rounds
                reply = self.session.run(putfh(self.fh), nfs4.write(self.stateid, 0, data),
                                         nfs4.read(self.stateid, 0, len(data))).ok()
                assert reply.last.data == data
                self.rounds += 1
                self.stopping.wait(0.005)
        except Exception as failure:  # of any kind: the test that ends it tells
            self.failure = failure


@pytest.fixture(scope="module", autouse=True)
def bystander(server, address):
    pid = server.pid
    other = Bystander(address)
    other.start()
    yield other
    other.stopping.set()
    other.join(30)
    assert other.failure is None
    # What it held before is still its own.
    asker = nfs4.connect(address)
    denied = asker.run(putfh(other.fh), nfs4.lockt(nfs4.READ_LT, 0, 1))
    assert denied.status == "DENIED"
    other.session.run(putfh(other.fh), nfs4.close(other.stateid)).ok()
    assert server.pid == pid and server.process.poll() is None


@pytest.fixture(autouse=True)
def others_go_on(bystander):
    before = bystander.rounds
    yield
    while bystander.failure is None and bystander.rounds < before + 2:
        bystander.stopping.wait(0.005)
    assert bystander.failure is None


@pytest.fixture(scope="module")
def scene(address, bystander):
    """A client with files of each kind, and stateids that are right, old, closed and of others."""
    s = types.SimpleNamespace()
    s.session = nfs4.connect(address, minor=2)
    s.place = nfs_place.new_directory(s.session)
    s.dir = s.place.fh
    s.fh, first = s.place.open(b"file")
    s.open = s.session.run(putfh(s.dir), nfs4.open_(b"file")).ok().of("OPEN").stateid
    s.lock = s.session.run(putfh(s.fh), nfs4.lock(nfs4.WRITE_LT, 0, 10, s.open)).ok().last.stateid
    s.other_fh, s.other_open = s.place.open(b"other")
    s.session.run(putfh(s.dir), nfs4.create(b"link", nfs4.LNK, data=b"file")).ok()
    s.link = s.place.fh_of(b"link")
    s.subdir = s.place.mkdir(b"dir")
    s.place.make(b"dir-file")
    gone_fh, gone = s.place.open(b"gone")
    s.session.run(putfh(gone_fh), nfs4.close(gone)).ok()
    s.session.run(putfh(s.dir), nfs4.remove(b"gone")).ok()
    s.removed = gone_fh
    s.stateids = {
        "old": (first, "OLD_STATEID"),  # section 8.2.4
        "too new": ((s.open[0] + 1, s.open[1]), "BAD_STATEID"),
        "damaged": ((s.open[0], bytes([s.open[1][0] ^ 0x80]) + s.open[1][1:]), "BAD_STATEID"),
        "random": ((1, b"\xa5" * 12), "BAD_STATEID"),
        "closed": (gone, "BAD_STATEID"),
        "of another file": (s.other_open, "BAD_STATEID"),
        "of another client": (bystander.stateid, "BAD_STATEID"),
        "invalid": ((HUGE, bytes(12)), "BAD_STATEID"),  # section 8.2.3
        "special that is none": ((7, bytes(12)), "BAD_STATEID"),
    }
    return s


# --- stateids -------------------------------------------------------------------------------------

BY_STATEID = {
    "READ": lambda s: nfs4.read(s, 0, 10),
    "WRITE": lambda s: nfs4.write(s, 0, b"x"),
    "SETATTR": lambda s: nfs4.setattr_({nfs4.SIZE: 5}, s),
    "LOCK": lambda s: nfs4.lock(nfs4.READ_LT, 50, 1, s),
    "LOCK again": lambda s: nfs4.lock(nfs4.READ_LT, 50, 1, lock_stateid=s),
    "LOCKU": lambda s: nfs4.locku(s, 0, 1),
    "OPEN_DOWNGRADE": lambda s: nfs4.open_downgrade(s, nfs4.ACCESS_READ),
    "CLOSE": lambda s: nfs4.close(s),
    "DELEGRETURN": lambda s: op("DELEGRETURN", stateid_bytes(s)),
    "OPEN by delegation": lambda s: nfs4.open_(b"", claim=nfs4.CLAIM_DELEG_CUR_FH, deleg=s),
    "SEEK": lambda s: nfs4.seek(s, 0, nfs4.DATA),
    "READ_PLUS": lambda s: nfs4.read_plus(s, 0, 10),
    "ALLOCATE": lambda s: nfs4.allocate(s, 0, 10),
    "DEALLOCATE": lambda s: nfs4.deallocate(s, 0, 10),
}
WRONG_STATEIDS = ["old", "too new", "damaged", "random", "closed", "of another file", "of another client", "invalid",
                  "special that is none"]
# These want a lock's or a delegation's stateid: an open's is of the wrong kind before it is old.
OTHER_KIND = {"LOCK again", "LOCKU", "DELEGRETURN", "OPEN by delegation"}


@pytest.mark.parametrize("wrong", WRONG_STATEIDS)
def test_a_wrong_stateid_is_refused_by_every_operation(scene, wrong):
    stateid, expected = scene.stateids[wrong]
    for name, request in BY_STATEID.items():
        found = scene.session.run(putfh(scene.fh), request(stateid))
        allowed = {expected, "BAD_STATEID"} if name in OTHER_KIND else {expected}
        assert found.last.status in allowed, name
        assert found.last.op == name.split()[0]


@pytest.mark.parametrize("wrong", WRONG_STATEIDS)
def test_stateids_that_need_no_file(scene, wrong):
    stateid, expected = scene.stateids[wrong]
    if wrong == "of another file":  # it is one of this client, which holds a file open
        expected = "LOCKS_HELD"
    assert scene.session.run(nfs4.free_stateid(stateid)).status == expected
    expected = "OK" if wrong == "of another file" else expected
    assert scene.session.run(nfs4.test_stateid(stateid)).last.codes == [expected]
    assert scene.session.run(nfs4.offload_cancel(stateid)).status == "BAD_STATEID"
    assert scene.session.run(nfs4.offload_status(stateid)).status == "BAD_STATEID"


# --- the wrong kind of file, names, values --------------------------------------------------------

ZERO = nfs4.ANONYMOUS
ROWS = [
    # where, request, status (sections 18.x of the operation, and 15.1)
    ("dir", nfs4.read(ZERO, 0, 1), "ISDIR"),
    ("dir", nfs4.write(ZERO, 0, b"x"), "ISDIR"),
    ("dir", nfs4.commit(), "ISDIR"),
    ("dir", nfs4.readlink(), "WRONG_TYPE"),
    ("dir", nfs4.setattr_({nfs4.SIZE: 0}), "ISDIR"),
    ("dir", nfs4.seek(ZERO, 0, nfs4.DATA), "WRONG_TYPE"),  # RFC 7862 section 15.11.3
    ("dir", nfs4.open_(b"dir"), "ISDIR"),
    ("dir", nfs4.open_(b"link"), "SYMLINK"),
    ("link", nfs4.read(ZERO, 0, 1), "SYMLINK"),
    ("link", nfs4.write(ZERO, 0, b"x"), "SYMLINK"),
    ("link", nfs4.commit(), "SYMLINK"),
    ("link", nfs4.lookup(b"x"), "SYMLINK"),
    ("link", nfs4.readdir(), {"NOTDIR", "SYMLINK"}),
    ("fh", nfs4.lookup(b"x"), "NOTDIR"),
    ("fh", nfs4.lookupp(), "NOTDIR"),
    ("fh", nfs4.readdir(), "NOTDIR"),
    ("fh", nfs4.readlink(), "WRONG_TYPE"),
    ("fh", nfs4.create(b"x"), "NOTDIR"),
    ("fh", nfs4.remove(b"x"), "NOTDIR"),
    ("fh", nfs4.open_(b"x"), "NOTDIR"),
    ("fh", nfs4.secinfo(b"x"), "NOTDIR"),
    ("dir", nfs4.create(b"x", nfs4.REG), "BADTYPE"),
    ("dir", nfs4.create(b"x", nfs4.LNK, data=b""), "INVAL"),
    ("dir", nfs4.create(b"file"), "EXIST"),
    ("dir", nfs4.remove(b"none"), "NOENT"),
    ("dir", nfs4.readdir(maxcount=8), "TOOSMALL"),
    ("dir", nfs4.readdir(cookie=1), "BAD_COOKIE"),
    ("dir", nfs4.readdir(cookie=2), "BAD_COOKIE"),
    ("dir", nfs4.readdir(attrs=[nfs4.TIME_MODIFY_SET]), "INVAL"),
    ("fh", nfs4.getattr_(nfs4.TIME_MODIFY_SET), "INVAL"),
    ("fh", nfs4.setattr_({nfs4.TYPE: 1}), "INVAL"),
    ("fh", nfs4.setattr_({nfs4.CHANGE: 1}), "INVAL"),
    ("fh", nfs4.setattr_({94: b""}), "ATTRNOTSUPP"),
    ("fh", nfs4.setattr_({12: u32(0)}), "ATTRNOTSUPP"),  # acl
    ("fh", nfs4.setattr_({nfs4.MODE: 0o200000}), "INVAL"),
    ("fh", nfs4.setattr_({nfs4.OWNER: b"nobody knows"}), "BADOWNER"),
    ("fh", nfs4.setattr_({nfs4.TIME_MODIFY_SET: (0, 10**9)}), "INVAL"),
    ("fh", nfs4.setattr_({nfs4.MODE: u32(0o644, 0)}), "BADXDR"),  # values longer than the mask says
    ("fh", nfs4.setattr_({nfs4.MODE: b""}), "BADXDR"),
    ("fh", nfs4.verify({nfs4.RDATTR_ERROR: 0}), "INVAL"),
    ("fh", nfs4.verify({94: b""}), "ATTRNOTSUPP"),
    ("fh", nfs4.commit(2**64 - 1, 2), "INVAL"),
    ("fh", nfs4.write(ZERO, 2**64 - 1, b"xy"), {"FBIG", "INVAL"}),
    ("fh", nfs4.write(ZERO, 2**63, b"xy"), {"FBIG", "INVAL"}),
    ("fh", nfs4.setattr_({nfs4.SIZE: 2**64 - 1}), "FBIG"),
    ("fh", nfs4.seek(ZERO, 2**63, nfs4.DATA), "NXIO"),  # RFC 7862 section 15.11.3
    ("fh", nfs4.allocate(ZERO, 2**64 - 1, 2), {"INVAL", "FBIG"}),
    ("fh", nfs4.deallocate(ZERO, 2**64 - 1, 2), {"INVAL", "FBIG"}),
    ("fh", nfs4.lockt(nfs4.READ_LT, 5, 0), "INVAL"),
    ("fh", nfs4.lockt(nfs4.READ_LT, 2**64 - 2, 3), "INVAL"),
    ("fh", nfs4.lockt(9, 0, 1), {"INVAL", "BADXDR"}),
    ("fh", nfs4.getxattr(b"user.none"), "NOXATTR"),  # RFC 8276 section 8.4.1
    ("fh", nfs4.removexattr(b"user.none"), "NOXATTR"),
    ("fh", nfs4.setxattr(b"user.none", b"x", nfs4.XATTR_REPLACE), "NOXATTR"),
]


@pytest.mark.parametrize("where, request_, expected", ROWS,
                         ids=[f"{nfs4.OP_NAME[int.from_bytes(row[1][:4], 'big')]}-{i}" for i, row in enumerate(ROWS)])
def test_what_cannot_be_is_answered_by_name(scene, where, request_, expected):
    reply = scene.session.run(putfh(getattr(scene, where)), request_)
    assert reply.last.status in (expected if isinstance(expected, set) else {expected})
    assert reply.status == reply.last.status and len(reply.results) == 3  # SEQUENCE, PUTFH and this


TWO_NAMES = {
    "LOOKUP": nfs4.lookup, "SECINFO": nfs4.secinfo, "REMOVE": nfs4.remove, "CREATE": nfs4.create,
    "OPEN": lambda name: nfs4.open_(name, how=nfs4.GUARDED),
    "RENAME from": lambda name: nfs4.rename(name, b"to"), "RENAME to": lambda name: nfs4.rename(b"dir-file", name),
    "LINK": nfs4.link,
}


@pytest.mark.parametrize("name, expected", [
    (b"", {"INVAL"}), (b".", {"BADNAME"}), (b"..", {"BADNAME"}), (b"a/b", {"BADCHAR", "BADNAME"}),
    (b"a\0b", {"BADCHAR", "BADNAME", "INVAL"}), (b"n" * 256, {"NAMETOOLONG"}), (b"n" * 70000, {"NAMETOOLONG", "BADXDR"}),
])
def test_a_name_that_is_none_is_refused_by_every_operation(scene, name, expected):
    for operation, request in TWO_NAMES.items():
        saved = scene.fh if operation == "LINK" else scene.dir
        reply = scene.session.run(putfh(saved), nfs4.savefh(), putfh(scene.dir), request(name))
        assert reply.last.status in expected, operation
    assert b"dir-file" in scene.place.names()


def test_handles_that_were_never_given_are_bad(scene):
    """Of every length; and a right one with one bit changed anywhere."""
    for size in range(129):
        forged = (b"\x01" + b"\x5a" * 127)[:size]
        assert scene.session.run(putfh(forged)).status == "BADHANDLE", size
    for bit in range(len(scene.fh) * 8):
        forged = bytearray(scene.fh)
        forged[bit // 8] ^= 1 << bit % 8
        assert scene.session.run(putfh(bytes(forged))).status == "BADHANDLE", bit
    assert scene.session.run(putfh(bytes(129))).status == "BADXDR"


def test_a_handle_of_a_removed_file_is_stale(scene):
    assert scene.session.run(putfh(scene.removed), nfs4.read(ZERO, 0, 1)).status == "STALE"


# --- lengths that lie -----------------------------------------------------------------------------

LIES = {
    "PUTFH": op("PUTFH", u32(HUGE)),
    "GETATTR": op("GETATTR", u32(HUGE)),
    "LOOKUP": op("LOOKUP", u32(HUGE) + b"name"),
    "TEST_STATEID": op("TEST_STATEID", u32(HUGE)),
    "SETATTR": op("SETATTR", stateid_bytes(ZERO) + u32(1, 0) + u32(HUGE)),
    "WRITE": op("WRITE", stateid_bytes(ZERO) + u64(0) + u32(2, HUGE) + b"some"),
    "LOCK": op("LOCK", u32(1, 0) + u64(0, 1) + u32(1, 0) + stateid_bytes(ZERO) + u32(0) + u64(0) + u32(HUGE)),
    "LOCK with a long owner": nfs4.lock(nfs4.READ_LT, 0, 1, ZERO, owner=b"o" * 1025),
    "OPEN with a long owner": nfs4.open_(b"file", owner=b"o" * 1025),
    "COPY": op("COPY", stateid_bytes(ZERO) * 2 + u64(0, 0, 0) + u32(1, 1, HUGE)),
    "IO_ADVISE": op("IO_ADVISE", stateid_bytes(ZERO) + u64(0, 0) + u32(HUGE)),
    "SETXATTR": op("SETXATTR", u32(0) + opaque(b"user.x") + u32(HUGE)),
    "OPEN of a type that is none": op("OPEN", u32(0, 3, 0) + u64(0) + opaque(b"o") + u32(7)),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_length_beyond_the_request_is_bad_xdr_and_costs_nothing(scene, lie):
    reply = scene.session.run(putfh(scene.fh), nfs4.savefh(), LIES[lie])
    assert reply.last.status == "BADXDR"


# --- order ----------------------------------------------------------------------------------------

def test_reclaims_out_of_time_are_refused(scene):
    claimed = nfs4.open_(b"", claim=nfs4.CLAIM_PREVIOUS, deleg=0)
    assert scene.session.run(putfh(scene.fh), claimed).status == "NO_GRACE"
    locked = nfs4.lock(nfs4.WRITE_LT, 90, 1, scene.open, reclaim=True)
    assert scene.session.run(putfh(scene.fh), locked).status == "NO_GRACE"


def test_a_restored_handle_must_have_been_saved(scene):
    assert scene.session.run(nfs4.restorefh()).status in ("RESTOREFH", "NOFILEHANDLE")
    assert scene.session.run(putfh(scene.dir), nfs4.rename(b"a", b"b")).status == "NOFILEHANDLE"
    assert scene.session.run(putfh(scene.dir), nfs4.link(b"b")).status == "NOFILEHANDLE"


def test_another_clients_session_and_clientid_are_not_ours_to_end(scene, address, bystander):
    """Of another principal: sections 18.37.3, 18.50.3."""
    with nfs4.Conn(address) as conn:
        stranger = nfs4.auth_sys(uid=4711, machine=b"stranger")
        reply = conn.compound(nfs4.destroy_session(bystander.session.id), cred=stranger)
        assert reply.status == "CONN_NOT_BOUND_TO_SESSION"
        assert conn.compound(nfs4.destroy_clientid(bystander.session.client.clientid), cred=stranger).status != "OK"
        again = nfs4.exchange_id(bystander.session.client.owner, bytes(8))
        assert conn.compound(again, cred=stranger).status == "CLID_INUSE"
    reply = scene.session.run(putfh(bystander.fh), nfs4.write(bystander.stateid, 0, b"not mine"))
    assert reply.status == "BAD_STATEID"


# --- version 4.0 ----------------------------------------------------------------------------------

def test_version_4_0_has_names_for_its_own_errors(scene, address):
    """RFC 7530 sections 9.1.7, 16.18.5, 16.20.5, 16.29.4 and 16.34.5."""
    with nfs4.Conn(address) as conn:
        refused = nfs40.Client40(conn)
        made = refused.run(nfs40.setclientid(b"never confirmed", bytes(8))).ok().last
        assert refused.run(nfs40.setclientid_confirm(made.clientid, bytes(8))).status == "STALE_CLIENTID"
        assert refused.run(nfs40.renew(made.clientid)).status == "STALE_CLIENTID"
        unknown = refused.clientid ^ (1 << 63)
        assert refused.run(nfs40.renew(unknown)).status == "STALE_CLIENTID"
        assert refused.run(op("RELEASE_LOCKOWNER", u64(unknown) + opaque(b"o"))).status == "STALE_CLIENTID"
        opening = nfs40.numbered(nfs4.open_(b"old", how=nfs4.UNCHECKED, clientid=unknown), 1)
        assert refused.run(putfh(scene.dir), opening).status == "STALE_CLIENTID"
        assert refused.run(op("SEQUENCE", bytes(32))).status == "OP_ILLEGAL"


def test_numbers_of_owners_are_followed(scene, address):
    with nfs4.Conn(address) as conn:
        client = nfs40.Client40(conn)
        encoded = nfs4.open_(b"numbered", how=nfs4.UNCHECKED, clientid=client.clientid)
        opened = client.run(putfh(scene.dir), nfs40.numbered(encoded, 1), nfs4.getfh()).ok()
        fh, stateid = opened.last.fh, opened.of("OPEN").stateid

        def status(*ops):
            return client.run(putfh(fh), *ops).status

        def close(seqid, which):
            return op("CLOSE", u32(seqid) + stateid_bytes(which))

        assert status(close(2, stateid)) == "BAD_STATEID"  # it waits for OPEN_CONFIRM
        assert status(op("OPEN_CONFIRM", stateid_bytes(stateid) + u32(9))) == "BAD_SEQID"
        confirmed = client.run(putfh(fh), op("OPEN_CONFIRM", stateid_bytes(stateid) + u32(2))).ok().last.stateid
        assert client.run(putfh(scene.dir), nfs40.numbered(encoded, 7)).status == "BAD_SEQID"
        assert status(close(2, confirmed)) == "BAD_SEQID"  # the last number again, but another operation
        assert status(close(4, confirmed)) == "BAD_SEQID"
        assert status(nfs4.read(stateid, 0, 1)) == "OLD_STATEID"
        assert status(nfs4.read((confirmed[0] + 1, confirmed[1]), 0, 1)) == "BAD_STATEID"
        foreign = (1, bytes(byte ^ 0xFF for byte in confirmed[1]))
        assert status(nfs4.read(foreign, 0, 1)) in ("STALE_STATEID", "BAD_STATEID")
        assert status(nfs4.read(scene.open, 0, 1)) == "BAD_STATEID"
        first = client.run(putfh(fh), close(3, confirmed)).ok()
        assert client.run(putfh(fh), close(3, confirmed)).body == first.body  # a retry
        assert status(nfs4.read(confirmed, 0, 1)) == "BAD_STATEID"
