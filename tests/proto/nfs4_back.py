"""The client's side of the back channel: callbacks come on the client's own connection, and are answered there.

`connect(address)` gives a session whose connection answers every callback that arrives while anything is read from
it, and remembers it: `session.conn.calls`. What it answers can be changed by `session.conn.answers`. Sources: RFC
8881 sections 2.10.3.1 and 20.
"""

import types

import nfs4
from nfs4 import op, opaque, stateid_bytes, u32

CB_GETATTR, CB_RECALL, CB_RECALL_ANY, CB_RECALL_SLOT, CB_SEQUENCE, CB_NOTIFY_LOCK, CB_OFFLOAD = 3, 4, 8, 10, 11, 13, 15
PROGRAM = 0x40000000
BACK_CHANNEL = 2  # CREATE_SESSION4_FLAG_CONN_BACK_CHAN
CB_PATH_DOWN, RECALLABLE_STATE_REVOKED, CB_PATH_DOWN_SESSION, BACKCHANNEL_FAULT = 0x1, 0x40, 0x200, 0x400
WANT_READ, WANT_WRITE, WANT_ANY, WANT_NONE, WANT_CANCEL = 0x100, 0x200, 0x300, 0x400, 0x500
NONE, READ, WRITE, NONE_EXT = range(4)  # OPEN_DELEGATE_*


def delegreturn(stateid):
    return op("DELEGRETURN", stateid_bytes(stateid))


def backchannel_ctl(program, *parms):
    return op("BACKCHANNEL_CTL", u32(program, len(parms)) + b"".join(parms))


def decode_call(number, reader):
    call = types.SimpleNamespace(op=number)
    if number == CB_RECALL:
        call.stateid, call.truncate, call.fh = reader.stateid(), reader.u32(), reader.opaque()
    elif number == CB_GETATTR:
        call.fh, call.attrs = reader.opaque(), reader.bitmap()
    elif number == CB_NOTIFY_LOCK:
        call.fh, call.clientid, call.owner = reader.opaque(), reader.u64(), reader.opaque()
    elif number == CB_RECALL_SLOT:
        call.target = reader.u32()
    elif number == CB_RECALL_ANY:
        call.keep, call.types = reader.u32(), reader.bitmap()
    elif number == CB_OFFLOAD:
        call.fh, call.stateid, call.status = reader.opaque(), reader.stateid(), reader.u32()
        if call.status == 0:
            assert reader.u32() == 0
            call.count, call.committed, call.verifier = reader.u64(), reader.u32(), reader.fixed(8)
        else:
            call.count = reader.u64()
    else:
        raise ValueError(f"callback {number}")
    return call


class BackConn(nfs4.Conn):
    """A connection that calls may come on, too."""

    def __init__(self, address, timeout_s=30):
        super().__init__(address, timeout_s)
        self.calls = []
        self.answers = {}  # {operation: function(call) -> (status, result bytes)}
        self.is_silent = False
        self.refusal = 0  # what CB_SEQUENCE answers, if not OK
        self.replies = []  # that came while a callback was waited for

    def receive_record(self):
        return self.replies.pop(0) if self.replies else self._next(lambda record: record[4:8] != u32(0))

    def wait_for(self, number):
        """The next callback of that kind that was not waited for before."""
        def is_it(_):
            return any(call.op == number and not call.seen for call in self.calls)
        if not is_it(None):
            self._next(is_it, keeps=True)
        call = next(call for call in self.calls if call.op == number and not call.seen)
        call.seen = True
        return call

    def _next(self, done, keeps=False):
        while True:
            record = super().receive_record()
            if record[4:8] == u32(0):
                self._answer(nfs4.Reader(record))
            elif keeps:
                self.replies.append(record)
            if done(record):
                return record

    def _answer(self, reader):
        xid, _, version, program, program_version, procedure = (reader.u32() for _ in range(6))
        cred = (reader.u32(), reader.opaque())
        reader.u32()
        reader.opaque()
        assert (version, program_version, procedure) == (2, 1, 1)
        tag, minor, _, count = reader.opaque(), reader.u32(), reader.u32(), reader.u32()
        assert (tag, count, reader.u32()) == (b"", 2, CB_SEQUENCE)
        sequence = {"sessionid": reader.fixed(16), "seqid": reader.u32(), "slot": reader.u32(),
                    "highest": reader.u32(), "cachethis": reader.u32(), "referring": reader.u32()}
        assert sequence["referring"] == 0
        call = decode_call(reader.u32(), reader)
        reader.end()
        call.sequence, call.cred, call.minor, call.program, call.seen = sequence, cred, minor, program, False
        self.calls.append(call)
        if self.is_silent:
            return
        if self.refusal:
            self.send_record(u32(xid, 1, 0, 0, 0, 0) + u32(self.refusal) + opaque(b"") + u32(1, CB_SEQUENCE, self.refusal))
            return
        status, result = self.answers.get(call.op, lambda _: (0, b""))(call)
        self.send_record(u32(xid, 1, 0, 0, 0, 0) + u32(status) + opaque(b"") + u32(2) +
                         u32(CB_SEQUENCE, 0) + sequence["sessionid"] +
                         u32(sequence["seqid"], sequence["slot"], sequence["highest"], sequence["highest"]) +
                         u32(call.op, status) + result)


def connect(address, flags=BACK_CHANNEL, cred=nfs4.ROOT, back=None, **options):
    """As nfs4.connect(), with a back channel of four slots."""
    client = nfs4.Client(BackConn(address), cred=cred, **options)
    return client.session(flags=flags, back=back or nfs4.channel(4096, 4096, 0, 8, 4)).ready()


def begin(session, *ops, slot=0):
    """Sends a request; gives a function that waits for the reply and gives it."""
    seqid = session.seqids.get(slot, 0) + 1
    session.seqids[slot] = seqid
    xid = session.conn.send_call(nfs4.compound_body(nfs4.sequence(session.id, seqid, slot), *ops))
    return lambda: nfs4.Reply(session.conn.receive_reply(xid))


def flags_of(session):
    """sr_status_flags, now."""
    return session.run().ok().of("SEQUENCE").flags
