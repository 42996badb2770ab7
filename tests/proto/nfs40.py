"""Clients of NFSv4.0 for the tests: SETCLIENTID, and owners that number their operations.

Beside nfs4.py, whose operations have the numbers of owners as 0, which is right for sessions only. A Client40 has one
open owner, and a lock owner of each file it locks, and counts for both. Sources: RFC 7530 sections 9.1, 16.33 and 16.34.
"""

import os

import nfs4
from nfs4 import op, opaque, putfh, stateid_bytes, u32, u64

nfs4.DECODERS.update({
    "SETCLIENTID": lambda r: {"clientid": r.u64(), "confirm": r.fixed(8)},
    "OPEN_CONFIRM": lambda r: {"stateid": r.stateid()},
})
RESULT_CONFIRM = 2  # OPEN4_RESULT_CONFIRM
NOT_ADVANCING = ("STALE_CLIENTID", "STALE_STATEID", "BAD_STATEID", "BAD_SEQID", "BADXDR", "RESOURCE", "NOFILEHANDLE")


def setclientid(owner, verifier, address=b"0.0.0.0.0.0", ident=1, netid=b"tcp"):
    return op("SETCLIENTID", verifier + opaque(owner) + u32(0x40000000) + opaque(netid) + opaque(address) + u32(ident))


def setclientid_confirm(clientid, confirm):
    return op("SETCLIENTID_CONFIRM", u64(clientid) + confirm)


def renew(clientid):
    return op("RENEW", u64(clientid))


def numbered(encoded, seqid):
    """An OPEN of nfs4.open_(), with the number of its owner."""
    return encoded[:4] + u32(seqid) + encoded[8:]


class Client40:
    """A client of 4.0: confirmed, with one open owner."""

    def __init__(self, conn, owner=None, verifier=None, cred=nfs4.ROOT, **callback):
        self.conn = conn
        self.callback = callback  # of setclientid()
        self.owner = owner or b"tester40-" + os.urandom(6).hex().encode()
        self.verifier = verifier or os.urandom(8)
        self.cred = cred
        self.introduce()

    def introduce(self):
        """SETCLIENTID and its confirmation; the owners begin anew."""
        made = self.run(setclientid(self.owner, self.verifier, **self.callback)).ok().last
        self.clientid = made.clientid
        self.run(setclientid_confirm(made.clientid, made.confirm)).ok()
        self.seqid = 0  # of the open owner, the newest that was used
        self.lock_seqids = {}  # of its lock owners

    def run(self, *ops, cred=None):
        return self.conn.compound(*ops, minor=0, cred=cred or self.cred)

    def _advance(self, reply):
        if reply.last.status not in NOT_ADVANCING:
            self.seqid += 1
        return reply

    def open(self, fh, encoded):
        """OPEN, below `fh` (or of it), confirmed if the server wants that. `encoded`: of nfs4.open_(), with this
        clientid. The reply; its result of OPEN has the stateid that is good."""
        reply = self._advance(self.run(putfh(fh), numbered(encoded, self.seqid + 1), nfs4.getfh()))
        if reply.status == "OK" and reply.of("OPEN").rflags & RESULT_CONFIRM:
            opened = reply.of("OPEN")
            confirm = op("OPEN_CONFIRM", stateid_bytes(opened.stateid) + u32(self.seqid + 1))
            opened.stateid = self._advance(self.run(putfh(reply.last.fh), confirm)).ok().last.stateid
        return reply

    def lock(self, fh, kind, offset, length, open_stateid, owner=b"locker", reclaim=False):
        """LOCK through an open by an owner that has no lock stateid for it."""
        lock_seqid = self.lock_seqids.get(owner, 0) + 1
        body = u32(kind, reclaim) + u64(offset, length) + u32(1, self.seqid + 1) + stateid_bytes(open_stateid)
        body += u32(lock_seqid) + u64(self.clientid) + opaque(owner)
        reply = self._advance(self.run(putfh(fh), op("LOCK", body)))
        if reply.last.status not in NOT_ADVANCING:
            self.lock_seqids[owner] = lock_seqid
        return reply

    def close(self, fh, stateid):
        return self._advance(self.run(putfh(fh), op("CLOSE", u32(self.seqid + 1) + stateid_bytes(stateid))))
