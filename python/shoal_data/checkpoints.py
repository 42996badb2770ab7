"""Checkpoints as file-like objects: reading ranges of one, writing one shard of one."""

import ctypes
import io
import json
import os
import pickle
from typing import Any

from . import _library, errors
from .handles import Handle


def buffer_of(data: Any) -> tuple[Any, int, Any]:
    """(address, size in bytes, owner) of bytes, bytearray, memoryview or anything with a contiguous buffer."""
    if isinstance(data, bytes):
        return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p), len(data), data
    view = memoryview(data)
    if not view.contiguous:
        raise errors.InvalidError("the buffer is not contiguous")
    view = view.cast("B") if view.nbytes else memoryview(bytearray())
    if view.nbytes == 0:
        return None, 0, view
    import numpy  # gives the address of read-only buffers, too
    array = numpy.frombuffer(view, "u1")
    return ctypes.c_void_p(array.ctypes.data), view.nbytes, array


class Checkpoint:
    """A checkpoint that was loaded whole and verified: `data`, `metadata`, `version`."""

    def __init__(self, id: str, version: int, data: memoryview, metadata: dict[str, Any],  # noqa: A002
                 is_verified: bool):
        self.id, self.version, self.data, self.metadata, self.is_verified = id, version, data, metadata, is_verified

    def __len__(self) -> int:
        return len(self.data)

    def object(self) -> Any:
        """The object that was pickled. Unpickling runs code of whoever may write to the store: do it only with a
        store whose writers you trust."""
        return pickle.loads(self.data)  # noqa: S301

    def __repr__(self) -> str:
        return f"<Checkpoint {self.id!r}, version {self.version}, {len(self)} bytes>"


class CheckpointReader(io.RawIOBase):
    """A version of a checkpoint, opened for reading: a seekable binary file whose every byte is verified.

    `read_range` and `readinto_range` may be used by many threads at once; `read` and `seek` move one position.
    """

    def __init__(self, handle: Handle, id: str):  # noqa: A002
        super().__init__()
        self._handle: Handle | None = handle
        self._position = 0
        info = _library.CheckpointInfo()
        _library.plain("checkpoint_info")(handle.pointer, ctypes.byref(info))
        self.id, self.version, self.size, self.saved_s = id, int(info.version), int(info.size_bytes), int(info.saved_s)
        self.metadata: dict[str, Any] = json.loads(info.metadata_json)
        self.shard_count, self.is_verified = int(info.shard_count), bool(info.is_verified)

    def _pointer(self) -> Any:
        if self._handle is None:
            raise ValueError("the checkpoint was closed")
        return self._handle.pointer

    def shard(self, index: int) -> tuple[int, int]:
        """(offset, size) of a shard in the whole."""
        offset, size = ctypes.c_uint64(), ctypes.c_uint64()
        if not 0 <= index < 2**32:
            raise errors.InvalidError(f"shard {index} is beyond the last, {self.shard_count - 1}")
        _library.call("checkpoint_shard", self._pointer(), index, ctypes.byref(offset), ctypes.byref(size))
        return offset.value, size.value

    def readinto_range(self, offset: int, buffer: Any) -> None:
        """Fills the buffer from `offset`. Raises ChecksumError, or InvalidError beyond the end."""
        handle = self._handle  # kept alive during the call, whoever closes meanwhile
        pointer = self._pointer()
        if offset < 0:
            raise errors.InvalidError(f"offset {offset} is negative")
        view = memoryview(buffer)
        if view.readonly:
            raise errors.InvalidError("the buffer is read-only")
        address, size, owner = buffer_of(view)
        _library.call("checkpoint_read", pointer, offset, address, size)
        del owner, handle

    def read_range(self, offset: int, size: int) -> memoryview:
        """`size` bytes from `offset`, writable."""
        if size < 0 or offset < 0 or offset + size > self.size:
            raise errors.InvalidError(f"{size} bytes at {offset} are not within the checkpoint's {self.size}")
        import numpy
        data = numpy.empty(size, "u1")  # not zeroed first, as a bytearray would be
        if size:
            self.readinto_range(offset, data)
        return data.data

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        size = min(len(view), max(self.size - self._position, 0))
        if size:
            self.readinto_range(self._position, view[:size])
            self._position += size
        return size

    def readall(self) -> bytes:
        size = max(self.size - self._position, 0)
        data = bytes(self.read_range(self._position, size)) if size else b""
        self._position += size
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError(f"position {base + offset} is negative")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        """The handle ends when the last call that uses it has ended."""
        self._handle = None
        super().close()


class CheckpointWriter:
    """One shard being written: write(), or write_at() from any threads; then finish() or abort().

    As a context manager it finishes, and aborts after an exception. Nobody sees the shard before the commit.
    """

    def __init__(self, handle: Handle):
        self._handle: Handle | None = handle
        self._position = 0

    def _take(self) -> Handle:
        if self._handle is None:
            raise ValueError("the writer was finished or aborted")
        return self._handle

    def write(self, data: Any) -> int:
        """Writes behind what write() wrote before; gives the number of bytes. So pickle.dump(model, writer) works."""
        offset = self._position
        size = self.write_at(offset, data)
        self._position = offset + size
        return size

    def write_at(self, offset: int, data: Any) -> int:
        """Writes at an offset of the shard; each byte is written once."""
        handle = self._take()
        if offset < 0:
            raise errors.InvalidError(f"offset {offset} is negative")
        address, size, owner = buffer_of(data)
        if size:
            _library.call("writer_write", handle.pointer, offset, address, size)
        del owner
        return size

    def finish(self) -> None:
        """Makes the shard durable with its checksums."""
        handle, self._handle = self._take(), None
        error = _library.try_call("writer_finish", handle.pointer)
        handle.forget()
        if error is not None:
            raise error

    def abort(self) -> None:
        """Gives up the shard; nothing after finish()."""
        if self._handle is not None:
            self._handle.release()
            self._handle = None

    def __enter__(self) -> "CheckpointWriter":
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        if self._handle is None:
            return
        if kind is None:
            self.finish()
        else:
            self.abort()
