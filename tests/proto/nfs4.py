"""NFSv4.1 and 4.2 spoken by hand: XDR, ONC RPC over TCP, COMPOUNDs and sessions, as far as tests need them.

An operation is its encoded bytes (opcode and arguments), made by the functions below: `lookup(b"name")`. So a
test can cut, damage or repeat it. `Session.run(...)` sends operations behind a SEQUENCE and decodes what comes
back; `Conn` sends anything. Sources: RFC 4506, 5531, 8881, 7862, 8276. Standard library only.
"""

import itertools
import os
import socket
import struct
import types

# --- statuses and operations ----------------------------------------------------------------------

STATUS = {
    "OK": 0, "PERM": 1, "NOENT": 2, "IO": 5, "NXIO": 6, "ACCESS": 13, "EXIST": 17, "XDEV": 18, "NOTDIR": 20,
    "ISDIR": 21, "INVAL": 22, "FBIG": 27, "NOSPC": 28, "ROFS": 30, "MLINK": 31, "NAMETOOLONG": 63, "NOTEMPTY": 66,
    "DQUOT": 69, "STALE": 70, "BADHANDLE": 10001, "BAD_COOKIE": 10003, "NOTSUPP": 10004, "TOOSMALL": 10005,
    "SERVERFAULT": 10006, "BADTYPE": 10007, "DELAY": 10008, "SAME": 10009, "DENIED": 10010, "EXPIRED": 10011,
    "LOCKED": 10012, "GRACE": 10013, "SHARE_DENIED": 10015, "CLID_INUSE": 10017, "RESOURCE": 10018,
    "NOFILEHANDLE": 10020, "MINOR_VERS_MISMATCH": 10021, "STALE_CLIENTID": 10022, "STALE_STATEID": 10023,
    "OLD_STATEID": 10024, "BAD_STATEID": 10025, "BAD_SEQID": 10026, "NOT_SAME": 10027, "SYMLINK": 10029, "RESTOREFH": 10030,
    "ATTRNOTSUPP": 10032, "NO_GRACE": 10033, "RECLAIM_BAD": 10034, "BADXDR": 10036, "LOCKS_HELD": 10037,
    "OPENMODE": 10038, "BADOWNER": 10039, "BADCHAR": 10040, "BADNAME": 10041, "BAD_RANGE": 10042, "CB_PATH_DOWN": 10048,
    "OP_ILLEGAL": 10044, "BADSESSION": 10052, "BADSLOT": 10053, "COMPLETE_ALREADY": 10054,
    "CONN_NOT_BOUND_TO_SESSION": 10055, "SEQ_MISORDERED": 10063, "SEQUENCE_POS": 10064, "REQ_TOO_BIG": 10065,
    "REP_TOO_BIG": 10066, "REP_TOO_BIG_TO_CACHE": 10067, "RETRY_UNCACHED_REP": 10068, "TOO_MANY_OPS": 10070,
    "OP_NOT_IN_SESSION": 10071, "CLIENTID_BUSY": 10074, "SEQ_FALSE_RETRY": 10076, "BAD_HIGH_SLOT": 10077,
    "NOT_ONLY_OP": 10081, "WRONG_TYPE": 10083, "DELEG_REVOKED": 10087, "UNION_NOTSUPP": 10090, "OFFLOAD_NO_REQS": 10094, "NOXATTR": 10095,
    "XATTR2BIG": 10096,
}
STATUS_NAME = {number: name for name, number in STATUS.items()}

OP = {
    "ACCESS": 3, "CLOSE": 4, "COMMIT": 5, "CREATE": 6, "DELEGRETURN": 8, "GETATTR": 9, "GETFH": 10, "LINK": 11, "LOCK": 12,
    "LOCKT": 13, "LOCKU": 14, "LOOKUP": 15, "LOOKUPP": 16, "NVERIFY": 17, "OPEN": 18, "OPEN_CONFIRM": 20, "OPEN_DOWNGRADE": 21,
    "PUTFH": 22, "PUTPUBFH": 23, "PUTROOTFH": 24, "READ": 25, "READDIR": 26, "READLINK": 27, "REMOVE": 28,
    "RENAME": 29, "RENEW": 30, "RESTOREFH": 31, "SAVEFH": 32, "SECINFO": 33, "SETATTR": 34, "SETCLIENTID": 35,
    "SETCLIENTID_CONFIRM": 36, "VERIFY": 37, "WRITE": 38, "RELEASE_LOCKOWNER": 39, "BACKCHANNEL_CTL": 40, "BIND_CONN_TO_SESSION": 41, "EXCHANGE_ID": 42, "CREATE_SESSION": 43, "DESTROY_SESSION": 44,
    "FREE_STATEID": 45, "SECINFO_NO_NAME": 52, "SEQUENCE": 53, "TEST_STATEID": 55, "DESTROY_CLIENTID": 57,
    "RECLAIM_COMPLETE": 58, "ALLOCATE": 59, "COPY": 60, "COPY_NOTIFY": 61, "DEALLOCATE": 62, "IO_ADVISE": 63,
    "LAYOUTERROR": 64, "LAYOUTSTATS": 65, "OFFLOAD_CANCEL": 66, "OFFLOAD_STATUS": 67, "READ_PLUS": 68, "SEEK": 69,
    "WRITE_SAME": 70, "CLONE": 71, "GETXATTR": 72, "SETXATTR": 73, "LISTXATTRS": 74, "REMOVEXATTR": 75, "ILLEGAL": 10044,
}
OP_NAME = {number: name for name, number in OP.items()}

ACCESS_READ, ACCESS_WRITE, ACCESS_BOTH = 1, 2, 3
DENY_NONE, DENY_READ, DENY_WRITE, DENY_BOTH = 0, 1, 2, 3
UNCHECKED, GUARDED, EXCLUSIVE, EXCLUSIVE_1 = 0, 1, 2, 3
CLAIM_NULL, CLAIM_PREVIOUS, CLAIM_DELEGATE_CUR, CLAIM_FH, CLAIM_DELEG_CUR_FH = 0, 1, 2, 4, 5
READ_LT, WRITE_LT, READW_LT, WRITEW_LT = 1, 2, 3, 4
UNSTABLE, DATA_SYNC, FILE_SYNC = 0, 1, 2
REG, DIR, BLK, CHR, LNK, SOCK, FIFO = range(1, 8)
TO_END = 2**64 - 1
DATA, HOLE = 0, 1
XATTR_EITHER, XATTR_CREATE, XATTR_REPLACE = 0, 1, 2

# Attribute numbers.
SUPPORTED_ATTRS, TYPE, FH_EXPIRE_TYPE, CHANGE, SIZE = range(5)
FSID, RDATTR_ERROR, FILEHANDLE, FILEID, MODE, NUMLINKS, OWNER, OWNER_GROUP = 8, 11, 19, 20, 33, 35, 36, 37
SPACE_USED, TIME_MODIFY, TIME_MODIFY_SET, MOUNTED_ON_FILEID = 45, 53, 54, 55
FILES_FREE, FILES_TOTAL, SPACE_AVAIL, SPACE_TOTAL = 22, 23, 42, 44
TIME_ACCESS, TIME_ACCESS_SET, TIME_DELEG_ACCESS, TIME_DELEG_MODIFY, OPEN_ARGUMENTS = 47, 48, 84, 85, 86
SUPPATTR_EXCLCREAT, CLONE_BLKSIZE, CHANGE_ATTR_TYPE, MODE_UMASK, XATTR_SUPPORT = 75, 77, 79, 81, 82

ANONYMOUS = (0, bytes(12))
BYPASS = (2**32 - 1, b"\xff" * 12)
CURRENT = (1, bytes(12))


class NfsError(AssertionError):
    """An operation answered another status than the test expects."""


class ConnectionClosed(Exception):
    """The server closed the connection instead of answering."""


# --- XDR ------------------------------------------------------------------------------------------

def u32(*values):
    return b"".join(struct.pack(">I", value & 0xFFFFFFFF) for value in values)


def u64(*values):
    return b"".join(struct.pack(">Q", value & 0xFFFFFFFFFFFFFFFF) for value in values)


def opaque(data):
    return u32(len(data)) + data + bytes(-len(data) % 4)


def bitmap(numbers):
    words = [0] * (max(numbers, default=-1) // 32 + 1)
    for number in numbers:
        words[number // 32] |= 1 << number % 32
    return u32(len(words), *words)


def stateid_bytes(stateid):
    return u32(stateid[0]) + stateid[1]


class Reader:
    """Takes XDR apart; any disagreement is an error of the server."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def fixed(self, size):
        if self.at + size > len(self.data):
            raise ValueError(f"XDR ends at {len(self.data)}, {size} bytes wanted at {self.at}")
        found = self.data[self.at:self.at + size]
        self.at += size
        return found

    def u32(self):
        return struct.unpack(">I", self.fixed(4))[0]

    def u64(self):
        return struct.unpack(">Q", self.fixed(8))[0]

    def opaque(self):
        size = self.u32()
        data = self.fixed(size)
        padding = self.fixed(-size % 4)
        if padding.strip(b"\0"):
            raise ValueError("padding is not zero")
        return data

    def bitmap(self):
        words = [self.u32() for _ in range(self.u32())]
        return [i * 32 + bit for i, word in enumerate(words) for bit in range(32) if word >> bit & 1]

    def stateid(self):
        return self.u32(), self.fixed(12)

    def end(self):
        if self.at != len(self.data):
            raise ValueError(f"{len(self.data) - self.at} bytes follow the end")


# --- attributes -----------------------------------------------------------------------------------

def _time(reader):
    return struct.unpack(">q", reader.fixed(8))[0], reader.u32()


ATTR_DECODERS = {
    SUPPORTED_ATTRS: Reader.bitmap, TYPE: Reader.u32, FH_EXPIRE_TYPE: Reader.u32, CHANGE: Reader.u64,
    SIZE: Reader.u64, FSID: lambda r: (r.u64(), r.u64()), RDATTR_ERROR: Reader.u32, FILEHANDLE: Reader.opaque,
    FILEID: Reader.u64, MODE: Reader.u32, NUMLINKS: Reader.u32, OWNER: Reader.opaque,
    OWNER_GROUP: Reader.opaque, TIME_MODIFY: _time, TIME_ACCESS: _time, MOUNTED_ON_FILEID: Reader.u64, 10: Reader.u32,
    SPACE_USED: Reader.u64, SUPPATTR_EXCLCREAT: Reader.bitmap, CLONE_BLKSIZE: Reader.u32, CHANGE_ATTR_TYPE: Reader.u32,
    XATTR_SUPPORT: Reader.u32, FILES_FREE: Reader.u64, FILES_TOTAL: Reader.u64, SPACE_AVAIL: Reader.u64,
    SPACE_TOTAL: Reader.u64,
    OPEN_ARGUMENTS: lambda r: [r.bitmap() for _ in range(5)],
}
ATTR_ENCODERS = {
    TYPE: u32, SIZE: u64, CHANGE: u64, MODE: u32, FILEID: u64, NUMLINKS: u32, OWNER: opaque,
    OWNER_GROUP: opaque, TIME_MODIFY_SET: lambda t: u32(1) + struct.pack(">qI", *t) if t else u32(0),
    RDATTR_ERROR: u32, MODE_UMASK: lambda pair: u32(*pair),
    TIME_DELEG_ACCESS: lambda t: struct.pack(">qI", *t), TIME_DELEG_MODIFY: lambda t: struct.pack(">qI", *t),
}


def fattr(values):
    """Attributes as fattr4: {number: value}, or raw bytes as a value."""
    encoded = b"".join(value if isinstance(value, bytes) and number not in (OWNER, OWNER_GROUP)
                       else ATTR_ENCODERS[number](value) for number, value in sorted(values.items()))
    return bitmap(values) + opaque(encoded)


def read_fattr(reader):
    numbers = reader.bitmap()
    values = Reader(reader.opaque())
    decoded = {number: ATTR_DECODERS[number](values) for number in numbers}
    values.end()
    return decoded


# --- operations: arguments ------------------------------------------------------------------------

def op(name, arguments=b""):
    return u32(OP[name] if isinstance(name, str) else name) + arguments


def putrootfh():
    return op("PUTROOTFH")


def putfh(fh):
    return op("PUTFH", opaque(fh))


def getfh():
    return op("GETFH")


def savefh():
    return op("SAVEFH")


def restorefh():
    return op("RESTOREFH")


def lookup(name):
    return op("LOOKUP", opaque(name))


def lookupp():
    return op("LOOKUPP")


def access(bits=0x3F):
    return op("ACCESS", u32(bits))


def getattr_(*numbers):
    return op("GETATTR", bitmap(numbers))


def setattr_(values, stateid=ANONYMOUS):
    return op("SETATTR", stateid_bytes(stateid) + fattr(values))


def verify(values):
    return op("VERIFY", fattr(values))


def nverify(values):
    return op("NVERIFY", fattr(values))


def create(name, kind=DIR, values=None, data=b""):
    specific = opaque(data) if kind == LNK else data
    return op("CREATE", u32(kind) + specific + opaque(name) + fattr(values or {}))


def remove(name):
    return op("REMOVE", opaque(name))


def rename(old, new):
    return op("RENAME", opaque(old) + opaque(new))


def link(name):
    return op("LINK", opaque(name))


def readlink():
    return op("READLINK")


def readdir(cookie=0, verifier=bytes(8), dircount=8192, maxcount=8192, attrs=()):
    return op("READDIR", u64(cookie) + verifier + u32(dircount, maxcount) + bitmap(attrs))


def open_(name, share=ACCESS_BOTH, deny=DENY_NONE, owner=b"owner", how=None, verifier=None, values=None,
          claim=CLAIM_NULL, clientid=0, deleg=0):
    """OPEN; how=None does not create. `deleg`: the type to reclaim, or the stateid of the claims by delegation."""
    body = u32(0, share, deny) + u64(clientid) + opaque(owner)
    if how is None:
        body += u32(0)
    else:
        body += u32(1, how)
        if how in (EXCLUSIVE, EXCLUSIVE_1):
            body += verifier
        if how != EXCLUSIVE:
            body += fattr(values or {})
    body += u32(claim)
    if claim == CLAIM_NULL:
        body += opaque(name)
    elif claim == CLAIM_PREVIOUS:
        body += u32(deleg)
    elif claim == CLAIM_DELEGATE_CUR:
        body += stateid_bytes(deleg) + opaque(name)
    elif claim == CLAIM_DELEG_CUR_FH:
        body += stateid_bytes(deleg)
    return op("OPEN", body)


def close(stateid):
    return op("CLOSE", u32(0) + stateid_bytes(stateid))


def open_downgrade(stateid, share, deny=DENY_NONE):
    return op("OPEN_DOWNGRADE", stateid_bytes(stateid) + u32(0, share, deny))


def read(stateid, offset, count):
    return op("READ", stateid_bytes(stateid) + u64(offset) + u32(count))


def write(stateid, offset, data, stable=FILE_SYNC):
    return op("WRITE", stateid_bytes(stateid) + u64(offset) + u32(stable) + opaque(data))


def commit(offset=0, count=0):
    return op("COMMIT", u64(offset) + u32(count))


def lock(kind, offset, length, open_stateid=None, owner=b"locker", lock_stateid=None, reclaim=False):
    body = u32(kind, reclaim) + u64(offset, length)
    if open_stateid is not None:
        body += u32(1, 0) + stateid_bytes(open_stateid) + u32(0) + u64(0) + opaque(owner)
    else:
        body += u32(0) + stateid_bytes(lock_stateid) + u32(0)
    return op("LOCK", body)


def lockt(kind, offset, length, owner=b"tester"):
    return op("LOCKT", u32(kind) + u64(offset, length) + u64(0) + opaque(owner))


def locku(stateid, offset, length, kind=WRITE_LT):
    return op("LOCKU", u32(kind, 0) + stateid_bytes(stateid) + u64(offset, length))


def test_stateid(*stateids):
    return op("TEST_STATEID", u32(len(stateids)) + b"".join(map(stateid_bytes, stateids)))


test_stateid.__test__ = False  # an operation, not a test


def free_stateid(stateid):
    return op("FREE_STATEID", stateid_bytes(stateid))


def sequence(sessionid, seqid, slot=0, highest=None, cachethis=False):
    return op("SEQUENCE", sessionid + u32(seqid, slot, slot if highest is None else highest, cachethis))


def exchange_id(owner, verifier, flags=0, protect=0):
    return op("EXCHANGE_ID", verifier + opaque(owner) + u32(flags, protect) + u32(0))


def channel(request=1 << 20, response=1 << 20, cached=4096, ops=64, slots=8):
    return u32(0, request, response, cached, ops, slots, 0)


def create_session(clientid, seqid, flags=0, fore=None, back=None):
    return op("CREATE_SESSION", u64(clientid) + u32(seqid, flags) + (fore or channel()) +
              (back or channel(4096, 4096, 0, 2, 1)) + u32(0x40000000, 1, 0))


def destroy_session(sessionid):
    return op("DESTROY_SESSION", sessionid)


def destroy_clientid(clientid):
    return op("DESTROY_CLIENTID", u64(clientid))


def bind_conn(sessionid, direction=1):
    return op("BIND_CONN_TO_SESSION", sessionid + u32(direction, 0))


def reclaim_complete(one_fs=False):
    return op("RECLAIM_COMPLETE", u32(one_fs))


def secinfo(name):
    return op("SECINFO", opaque(name))


def secinfo_no_name(style=0):
    return op("SECINFO_NO_NAME", u32(style))


# --- operations of version 4.2 ---------------------------------------------------------------------

def seek(stateid, offset, what):
    return op("SEEK", stateid_bytes(stateid) + u64(offset) + u32(what))


def allocate(stateid, offset, length):
    return op("ALLOCATE", stateid_bytes(stateid) + u64(offset, length))


def deallocate(stateid, offset, length):
    return op("DEALLOCATE", stateid_bytes(stateid) + u64(offset, length))


def io_advise(stateid, offset, count, hints=()):
    return op("IO_ADVISE", stateid_bytes(stateid) + u64(offset, count) + bitmap(hints))


def read_plus(stateid, offset, count):
    return op("READ_PLUS", stateid_bytes(stateid) + u64(offset) + u32(count))


def clone(source, target, source_offset, target_offset, count):
    """CLONE of the saved file into the current one; `source` and `target` are stateids."""
    return op("CLONE", stateid_bytes(source) + stateid_bytes(target) + u64(source_offset, target_offset, count))


def copy(source, target, source_offset, target_offset, count, consecutive=True, synchronous=True, servers=()):
    return op("COPY", stateid_bytes(source) + stateid_bytes(target) + u64(source_offset, target_offset, count) +
              u32(consecutive, synchronous, len(servers)) + b"".join(u32(1) + opaque(name) for name in servers))


def offload_status(stateid):
    return op("OFFLOAD_STATUS", stateid_bytes(stateid))


def offload_cancel(stateid):
    return op("OFFLOAD_CANCEL", stateid_bytes(stateid))


def getxattr(name):
    return op("GETXATTR", opaque(name))


def setxattr(name, value, option=XATTR_EITHER):
    return op("SETXATTR", u32(option) + opaque(name) + opaque(value))


def listxattrs(cookie=0, maxcount=4096):
    return op("LISTXATTRS", u64(cookie) + u32(maxcount))


def removexattr(name):
    return op("REMOVEXATTR", opaque(name))


# --- operations: results --------------------------------------------------------------------------

def _change(r):
    return types.SimpleNamespace(atomic=r.u32(), before=r.u64(), after=r.u64())


def _channel(r):
    names = ("padding", "request", "response", "cached", "ops", "slots")
    found = types.SimpleNamespace(**{name: r.u32() for name in names})
    found.rdma = [r.u32() for _ in range(r.u32())]
    return found


def _denied(r):
    return {"offset": r.u64(), "length": r.u64(), "kind": r.u32(), "clientid": r.u64(), "owner": r.opaque()}


def _open(r):
    found = {"stateid": r.stateid(), "cinfo": _change(r), "rflags": r.u32(), "attrset": r.bitmap(),
             "delegation": r.u32()}
    if found["delegation"] in (1, 2, 4, 5):  # OPEN_DELEGATE_READ, OPEN_DELEGATE_WRITE; with times
        found["deleg_stateid"] = r.stateid()
        found["recall"] = r.u32()
        if found["delegation"] in (2, 5):
            found["limit"] = (r.u32(), r.u64())
        found["ace"] = (r.u32(), r.u32(), r.u32(), r.opaque())
    if found["delegation"] == 3:  # OPEN_DELEGATE_NONE_EXT
        found["why"] = r.u32()
        if found["why"] in (1, 2):
            r.u32()
    return found


def _entries(r):
    found = []
    while r.u32():
        found.append(types.SimpleNamespace(cookie=r.u64(), name=r.opaque(), attrs=read_fattr(r)))
    return found


def _secinfo(r):
    return {"flavors": [r.u32() for _ in range(r.u32())]}


def _exchange_id(r):
    found = {"clientid": r.u64(), "sequenceid": r.u32(), "flags": r.u32(), "protect": r.u32(),
             "minor_id": r.u64(), "major_id": r.opaque(), "scope": r.opaque()}
    for _ in range(r.u32()):
        found["implementation"] = (r.opaque(), r.opaque())
        _time(r)
    return found


def _read_plus(r):
    """eof, and the parts: (DATA, offset, bytes) or (HOLE, offset, length)."""
    found = {"eof": r.u32(), "parts": []}
    for _ in range(r.u32()):
        kind, offset = r.u32(), r.u64()
        found["parts"].append((kind, offset, r.opaque() if kind == DATA else r.u64()))
    return found


def _copy(r):
    return {"callback_ids": [r.stateid() for _ in range(r.u32())], "count": r.u64(), "committed": r.u32(),
            "verifier": r.fixed(8), "consecutive": r.u32(), "synchronous": r.u32()}


DECODERS = {
    "COPY": _copy,
    "IO_ADVISE": lambda r: {"hints": r.bitmap()},
    "OFFLOAD_STATUS": lambda r: {"count": r.u64(),
                                 "complete": [STATUS_NAME[r.u32()] for _ in range(r.u32())]},
    "READ_PLUS": _read_plus,
    "SEEK": lambda r: {"eof": r.u32(), "offset": r.u64()},
    "GETXATTR": lambda r: {"value": r.opaque()},
    "SETXATTR": lambda r: {"cinfo": _change(r)},
    "REMOVEXATTR": lambda r: {"cinfo": _change(r)},
    "LISTXATTRS": lambda r: {"cookie": r.u64(), "names": [r.opaque() for _ in range(r.u32())], "eof": r.u32()},
    "ACCESS": lambda r: {"supported": r.u32(), "access": r.u32()},
    "CLOSE": lambda r: {"stateid": r.stateid()},
    "COMMIT": lambda r: {"verifier": r.fixed(8)},
    "CREATE": lambda r: {"cinfo": _change(r), "attrset": r.bitmap()},
    "GETATTR": lambda r: {"attrs": read_fattr(r)},
    "GETFH": lambda r: {"fh": r.opaque()},
    "LINK": lambda r: {"cinfo": _change(r)},
    "LOCK": lambda r: {"stateid": r.stateid()},
    "LOCKU": lambda r: {"stateid": r.stateid()},
    "OPEN": _open,
    "OPEN_DOWNGRADE": lambda r: {"stateid": r.stateid()},
    "READ": lambda r: {"eof": r.u32(), "data": r.opaque()},
    "READDIR": lambda r: {"verifier": r.fixed(8), "entries": _entries(r), "eof": r.u32()},
    "READLINK": lambda r: {"target": r.opaque()},
    "REMOVE": lambda r: {"cinfo": _change(r)},
    "RENAME": lambda r: {"source": _change(r), "target": _change(r)},
    "SECINFO": _secinfo,
    "SECINFO_NO_NAME": _secinfo,
    "WRITE": lambda r: {"count": r.u32(), "committed": r.u32(), "verifier": r.fixed(8)},
    "BIND_CONN_TO_SESSION": lambda r: {"sessionid": r.fixed(16), "direction": r.u32(), "rdma": r.u32()},
    "EXCHANGE_ID": _exchange_id,
    "CREATE_SESSION": lambda r: {"sessionid": r.fixed(16), "sequence": r.u32(), "flags": r.u32(),
                                 "fore": _channel(r), "back": _channel(r)},
    "SEQUENCE": lambda r: {"sessionid": r.fixed(16), "seqid": r.u32(), "slot": r.u32(), "highest": r.u32(),
                           "target": r.u32(), "flags": r.u32()},
    "TEST_STATEID": lambda r: {"codes": [STATUS_NAME[r.u32()] for _ in range(r.u32())]},
}


class Reply:
    """A decoded COMPOUND reply: status, tag, and one namespace per operation that ran."""

    def __init__(self, body):
        reader = Reader(body)
        self.body = body
        self.status = STATUS_NAME.get(reader.u32())
        self.tag = reader.opaque()
        self.results = [self._result(reader) for _ in range(reader.u32())]
        reader.end()

    @staticmethod
    def _result(reader):
        number = reader.u32()
        name = OP_NAME.get(number, number)
        status = reader.u32()
        result = types.SimpleNamespace(op=name, status=STATUS_NAME.get(status, status))
        fields = {}
        if name == "SETATTR":  # its bitmap comes with errors, too
            fields = {"attrset": reader.bitmap()}
        elif status == STATUS["OK"]:
            fields = DECODERS.get(name, lambda _: {})(reader)
        elif status == STATUS["DENIED"] and name in ("LOCK", "LOCKT"):
            fields = _denied(reader)
        result.__dict__.update(fields)
        return result

    @property
    def last(self):
        return self.results[-1]

    def ok(self):
        """The reply itself, which must be a success."""
        if self.status != "OK":
            where = self.results[-1].op if self.results else "the COMPOUND"
            raise NfsError(f"{where} answered {self.status}")
        return self

    def of(self, name):
        """The result of the last operation of that name."""
        return [result for result in self.results if result.op == name][-1]


# --- RPC ------------------------------------------------------------------------------------------

def auth_sys(uid=0, gid=0, groups=(), machine=b"tester"):
    body = u32(1) + opaque(machine) + u32(uid, gid, len(groups), *groups)
    return u32(1) + opaque(body)


AUTH_NONE = u32(0, 0)
ROOT = auth_sys()


class Conn:
    """One TCP connection; with `tls`, an ssl.SSLContext, secured from its first byte on."""

    xids = itertools.count(1000)

    def __init__(self, address, timeout_s=30, source=None, tls=None, name=None):
        self.socket = socket.create_connection(address, timeout=timeout_s, source_address=source)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self.start_tls(tls, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def start_tls(self, context, name=None):
        """Shakes hands; `name` is the server's, its address by default."""
        plain = self.socket
        try:
            self.socket = context.wrap_socket(plain, server_hostname=name or plain.getpeername()[0])
        except Exception:
            plain.close()
            raise

    def send_record(self, data, fragment=None):
        """Sends a record, in fragments of that many bytes."""
        size = fragment or max(len(data), 1)
        pieces = [data[at:at + size] for at in range(0, len(data), size)] or [b""]
        message = b"".join(u32(len(piece) | (0x80000000 if i == len(pieces) - 1 else 0)) + piece
                           for i, piece in enumerate(pieces))
        self.socket.sendall(message)

    def _receive(self, size):
        data = b""
        while len(data) < size:
            try:
                piece = self.socket.recv(size - len(data))
            except ConnectionError:
                piece = b""
            if not piece:
                raise ConnectionClosed
            data += piece
        return data

    def receive_record(self):
        data = b""
        while True:
            mark = struct.unpack(">I", self._receive(4))[0]
            data += self._receive(mark & 0x7FFFFFFF)
            if mark & 0x80000000:
                return data

    def send_call(self, body, cred=ROOT, program=100003, version=4, procedure=1, fragment=None):
        """Sends a call and returns its xid."""
        xid = next(self.xids)
        self.send_record(u32(xid, 0, 2, program, version, procedure) + cred + AUTH_NONE + body, fragment)
        return xid

    def receive_reply(self, xid):
        """The results of an accepted, successful reply; any other is an RpcError."""
        reader = Reader(self.receive_record())
        assert (reader.u32(), reader.u32()) == (xid, 1)
        if reader.u32() != 0:
            raise RpcError("denied", reader.u32())
        reader.u32()
        reader.opaque()
        accepted = reader.u32()
        if accepted != 0:
            raise RpcError("accepted", accepted)
        return reader.data[reader.at:]

    def call(self, body, **options):
        return self.receive_reply(self.send_call(body, **options))

    def compound(self, *ops, minor=1, tag=b"", count=None, **options):
        """Runs a COMPOUND of encoded operations; `count` may lie about their number."""
        return Reply(self.call(compound_body(*ops, minor=minor, tag=tag, count=count), **options))


def compound_body(*ops, minor=1, tag=b"", count=None):
    return opaque(tag) + u32(minor, len(ops) if count is None else count) + b"".join(ops)


class RpcError(Exception):
    """(kind, number): `denied` or `accepted`, and the status of RFC 5531."""


# --- clients and sessions -------------------------------------------------------------------------

class Client:
    """A client owner with its clientid."""

    def __init__(self, conn, owner=None, verifier=None, cred=ROOT):
        self.conn = conn
        self.owner = owner or b"tester-" + os.urandom(6).hex().encode()
        self.verifier = verifier or os.urandom(8)
        self.cred = cred
        found = conn.compound(exchange_id(self.owner, self.verifier), cred=cred).ok().last
        self.exchanged = found
        self.clientid = found.clientid
        self.sequenceid = found.sequenceid

    def session(self, conn=None, minor=1, **options):
        """CREATE_SESSION; `minor` is the version that its requests have."""
        made = (conn or self.conn).compound(
            create_session(self.clientid, self.sequenceid, **options), cred=self.cred).ok().last
        self.sequenceid += 1
        return Session(self, conn or self.conn, made, minor)


class Session:
    """A session; run() uses one slot after the other request."""

    def __init__(self, client, conn, created, minor=1):
        self.client = client
        self.conn = conn
        self.created = created
        self.id = created.sessionid
        self.minor = minor
        self.seqids = {}

    def run(self, *ops, slot=0, cachethis=False, cred=None, conn=None, **options):
        """Runs operations behind a new SEQUENCE; a success of SEQUENCE moves the slot on."""
        seqid = self.seqids.get(slot, 0) + 1
        options.setdefault("minor", self.minor)
        reply = (conn or self.conn).compound(
            sequence(self.id, seqid, slot, cachethis=cachethis), *ops, cred=cred or self.client.cred, **options)
        if reply.results and reply.results[0].status == "OK":
            self.seqids[slot] = seqid
        return reply

    def ready(self):
        """RECLAIM_COMPLETE: it may open files."""
        self.run(reclaim_complete()).ok()
        return self

    def destroy(self):
        self.conn.compound(destroy_session(self.id), cred=self.client.cred).ok()
        self.conn.compound(destroy_clientid(self.client.clientid), cred=self.client.cred).ok()


def connect(address, owner=None, verifier=None, cred=ROOT, conn=None, **options):
    """A new connection (or `conn`) with a new client and session, ready to open files."""
    return Client(conn or Conn(address), owner, verifier, cred).session(**options).ready()
