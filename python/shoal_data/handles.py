"""What a store and its handles need to live and end in the right order, in threads and after fork()."""

import ctypes
import os
import threading
import weakref
from typing import Any

from . import _library, errors


class _Open:
    """An open store of this process. It is closed when nobody uses it any more and close() was called."""

    def __init__(self, url: bytes, options: dict[str, int]):
        self.pid = os.getpid()
        self.pointer = ctypes.c_void_p()
        settings = _library.Options(struct_size=ctypes.sizeof(_library.Options), **options)
        _library.call("open", url, ctypes.byref(settings), ctypes.byref(self.pointer))
        self._lock = threading.RLock()  # a finalizer may run in the thread that holds it
        self._users = 1

    def get(self) -> None:
        with self._lock:
            self._users += 1

    def put(self) -> None:
        if os.getpid() != self.pid:  # a child of fork() leaves its parent's alone; the lock may be held for ever there
            return
        with self._lock:
            self._users -= 1
            last = self._users == 0
        if last:
            _library.plain("close")(self.pointer)


class Connection:
    """Opens a store, and opens it anew in a child of fork(): C's store does not survive one. Thread-safe."""

    def __init__(self, url: str, options: dict[str, int]):
        self._url = _library.text(url, "url") or b""
        self._options = options
        self._lock = threading.Lock()
        self._closed = False
        self._open: _Open | None = _Open(self._url, options)
        os.register_at_fork(after_in_child=_weak_call(self))

    def after_fork(self) -> None:
        self._lock = threading.Lock()

    def use(self) -> "Use":
        with self._lock:
            if self._closed:
                raise errors.ClosedError("the storage was closed")
            if self._open is None or self._open.pid != os.getpid():
                self._open = _Open(self._url, self._options)
            self._open.get()
            return Use(self._open)

    def close(self) -> None:
        with self._lock:
            opened, self._open, self._closed = self._open, None, True
        if opened is not None:
            opened.put()


def _weak_call(connection: Connection) -> Any:
    reference = weakref.ref(connection)

    def renew() -> None:
        found = reference()
        if found is not None:
            found.after_fork()

    return renew


class Use:
    """One use of an open store: `with connection.use() as store`."""

    def __init__(self, opened: _Open):
        self.opened = opened

    def __enter__(self) -> ctypes.c_void_p:
        return self.opened.pointer

    def __exit__(self, *_: Any) -> None:
        self.opened.put()


class Handle:
    """A handle that C gave out: released once, when nobody has it any more, and before the store is closed."""

    def __init__(self, use: Use, pointer: Any, releaser: str):
        self.pointer = pointer
        use.opened.get()
        self._end = weakref.finalize(self, _release, use.opened, pointer, releaser)
        self._end.atexit = False  # the process's end releases memory; threads may still be using it

    def release(self) -> None:
        self._end()

    def forget(self) -> None:
        """C has released it by itself."""
        found = self._end.detach()
        if found is not None:
            found[2][0].put()


def _release(opened: _Open, pointer: Any, releaser: str) -> None:
    if os.getpid() == opened.pid:
        _library.plain(releaser)(pointer)
    opened.put()
