"""The callback service of a client of 4.0: it listens, and answers what the server asks on a connection of its own.

`Service(host)` listens on a free port of `host`; `service.address` is what SETCLIENTID tells of it. Each call is kept in
`service.calls`; what is answered can be changed by `service.answers`. Sources: RFC 7530 sections 15.3 and 16.33; RFC 5665.
"""

import socket
import threading

import nfs4
import nfs4_back
from nfs4 import opaque, u32
from shoal_server import wait_until

PROGRAM, IDENT = 0x40000000, 77
WAIT_S = 30


class Service:
    """Listens in a thread of its own until it is closed."""

    def __init__(self, host="127.0.0.1", port=0):
        self.listener = socket.create_server((host, port))
        self.host, self.port = self.listener.getsockname()
        self.address = f"{host}.{self.port >> 8}.{self.port & 255}".encode()
        self.calls, self.nulls, self.peers = [], 0, []
        self.answers = {}  # {operation: function(call) -> (status, result bytes)}
        self.is_silent = False
        self.conns = []
        self.thread = threading.Thread(target=self._accept)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Closes the listener, and what the server has connected to it."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()
        for conn, thread in self.conns:
            conn.shutdown()
            thread.join()
            conn.close()
        self.conns = []

    def ask(self, body):
        """Asks the server something on the connection that it made; gives whether it closed that."""
        self.conns[-1][0].send_call(body)
        self.conns[-1][1].join(WAIT_S)
        return not self.conns[-1][1].is_alive()

    def wait_for(self, number):
        """The next call of that kind that was not waited for before."""
        found = wait_until(lambda: [call for call in self.calls if call.op == number and not call.seen], WAIT_S,
                           f"callback {number}")
        found[0].seen = True
        return found[0]

    def _accept(self):
        while True:
            try:
                accepted, peer = self.listener.accept()
            except OSError:
                return
            self.peers.append(peer)
            conn = Called(accepted)
            thread = threading.Thread(target=self._serve, args=(conn,))
            self.conns.append((conn, thread))
            thread.start()

    def _serve(self, conn):
        try:
            while True:
                self._answer(conn, nfs4.Reader(conn.receive_record()))
        except (nfs4.ConnectionClosed, OSError):
            pass

    def _answer(self, conn, reader):
        xid, kind, version, program, program_version, procedure = (reader.u32() for _ in range(6))
        cred = (reader.u32(), reader.opaque())
        reader.u32()
        reader.opaque()
        assert (kind, version, program, program_version) == (0, 2, PROGRAM, 1)
        if procedure == 0:
            reader.end()
            self.nulls += 1
            if not self.is_silent:
                conn.send_record(u32(xid, 1, 0, 0, 0, 0))
            return
        tag, minor, ident, count = reader.opaque(), reader.u32(), reader.u32(), reader.u32()
        assert (tag, minor, ident, count) == (b"", 0, IDENT, 1)
        call = nfs4_back.decode_call(reader.u32(), reader)
        reader.end()
        call.cred, call.seen = cred, False
        self.calls.append(call)
        if not self.is_silent:
            status, result = self.answers.get(call.op, lambda _: (0, b""))(call)
            conn.send_record(u32(xid, 1, 0, 0, 0, 0) + u32(status) + opaque(b"") + u32(1, call.op, status) + result)


class Called(nfs4.Conn):
    """A connection that the server made."""

    def __init__(self, accepted):
        self.socket = accepted

    def shutdown(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it is closed already
