"""A TCP proxy that cuts connections at random moments: what a bad network does to a client.

Every connection carries a number of bytes drawn from a seeded generator, then both sides of it are closed, often in
the middle of a record. The seed is printed in the failure of a test that uses it.
"""

import contextlib
import random
import socket
import threading


class CuttingProxy:
    """Listens on loopback and forwards to (address, port). Use it as a context manager."""

    def __init__(self, address, port, seed, bytes_min, bytes_max):
        self.target = (address, port)
        self.random = random.Random(seed)
        self.limits = (bytes_min, bytes_max)
        self.cuts = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open = set()
        self.lock = threading.Lock()
        self.stopping = False

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.listener.close()
        with self.lock:
            pairs = list(self.open)
        for pair in pairs:
            self._close(pair)

    def _accept(self):
        while not self.stopping:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            try:
                server = socket.create_connection(self.target, timeout=10)
            except OSError:
                client.close()  # the server is away: the client tries again
                continue
            server.settimeout(None)
            for side in (client, server):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pair = (client, server)
            with self.lock:
                self.open.add(pair)
                budget = [self.random.randint(*self.limits)]
            for source, sink in (pair, pair[::-1]):
                threading.Thread(target=self._pump, args=(pair, source, sink, budget), daemon=True).start()

    def _pump(self, pair, source, sink, budget):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                keep = max(0, min(len(data), budget[0]))
                budget[0] -= len(data)
                sink.sendall(data[:keep])
                if budget[0] <= 0:
                    self.cuts += 1
                    break
        self._close(pair)

    def _close(self, pair):
        with self.lock:
            self.open.discard(pair)
        for side in pair:
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()
