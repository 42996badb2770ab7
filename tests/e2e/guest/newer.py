"""What clients of version 4.2 have beyond 4.1: clones, copies in the server, holes, extended attributes."""

import ctypes
import errno
import fcntl
import hashlib
import os
import random
import struct
import subprocess

from names import create, drop_caches, expect_error

BLOCK = 4096
MIB = 1 << 20
FICLONE = 0x40049409
FICLONERANGE = 0x4020940D
PUNCH_HOLE_KEEP_SIZE = 0x3
LIBC = ctypes.CDLL(None, use_errno=True)


def fallocate(fd, mode, offset, size):
    if LIBC.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(size)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def content(path):
    drop_caches()
    with open(path, "rb") as file:
        return file.read()


def used_bytes(path):
    drop_caches()
    return os.stat(path).st_blocks * 512


def reflink(directory):
    """FICLONE and FICLONERANGE share blocks; a change of one file is not seen in the other."""
    data = os.urandom(3 * MIB + 1234)
    create(f"{directory}/source", data)
    subprocess.run(["cp", "--reflink=always", f"{directory}/source", f"{directory}/clone"], check=True)
    assert content(f"{directory}/clone") == data
    with open(f"{directory}/clone", "r+b") as clone, open(f"{directory}/source", "rb") as source:
        clone.write(b"changed")
        clone.flush()
        assert os.pread(source.fileno(), 7, 0) == data[:7]
        fcntl.ioctl(clone, FICLONERANGE, struct.pack("qQQQ", source.fileno(), BLOCK, 4 * BLOCK, 8 * BLOCK))
        expect_error(errno.EINVAL, fcntl.ioctl, clone, FICLONERANGE,
                     struct.pack("qQQQ", source.fileno(), BLOCK, 4 * BLOCK, 8 * BLOCK + 1))
    expected = bytearray(b"changed" + data[7:])
    expected[8 * BLOCK:12 * BLOCK] = data[BLOCK:5 * BLOCK]
    assert content(f"{directory}/clone") == expected
    assert content(f"{directory}/source") == data


def copies(directory):
    """copy_file_range() of any range; cp of a whole file."""
    chance = random.Random(5)
    data = os.urandom(5 * MIB + 77)
    create(f"{directory}/source", data)
    create(f"{directory}/target", b"t" * MIB)
    model = bytearray(b"t" * MIB)
    with open(f"{directory}/source", "rb") as source, open(f"{directory}/target", "r+b") as target:
        for _ in range(12):
            start, to, size = chance.randrange(5 * MIB), chance.randrange(4 * MIB), chance.randrange(1, MIB)
            size = min(size, len(data) - start)
            done = 0
            while done < size:
                done += os.copy_file_range(source.fileno(), target.fileno(), size - done, start + done, to + done)
            model.extend(bytes(max(0, to + size - len(model))))
            model[to:to + size] = data[start:start + size]
    assert content(f"{directory}/target") == model
    subprocess.run(["cp", f"{directory}/source", f"{directory}/copy"], check=True)
    assert content(f"{directory}/copy") == data


def long_copy(directory, size_mib):
    """A copy that takes the server several answers."""
    digest = hashlib.sha256()
    with open(f"{directory}/source", "wb") as file:
        for number in range(size_mib):
            piece = number.to_bytes(8, "big") * (MIB // 8)
            file.write(piece)
            if number > 0:
                digest.update(piece)
            else:
                digest.update(piece[1:])
    size = size_mib * MIB - 1
    with open(f"{directory}/source", "rb") as source, open(f"{directory}/target", "wb") as target:
        done = 0
        while done < size:  # not by blocks: every byte is read and written
            done += os.copy_file_range(source.fileno(), target.fileno(), size - done, 1 + done, done)
    assert hashlib.sha256(content(f"{directory}/target")).digest() == digest.digest()


def holes(directory):
    """fallocate() and punched holes, as SEEK_DATA and SEEK_HOLE, read() and st_blocks show them."""
    path = f"{directory}/file"
    create(path, b"d" * 64 * BLOCK)
    fd = os.open(path, os.O_RDWR)
    before = used_bytes(path)
    fallocate(fd, PUNCH_HOLE_KEEP_SIZE, 10 * BLOCK + 100, 20 * BLOCK)
    assert os.fstat(fd).st_size == 64 * BLOCK
    assert content(path) == b"d" * (10 * BLOCK + 100) + bytes(20 * BLOCK) + b"d" * (34 * BLOCK - 100)
    assert used_bytes(path) <= before - 19 * BLOCK
    assert os.lseek(fd, 0, os.SEEK_DATA) == 0
    assert os.lseek(fd, 0, os.SEEK_HOLE) == 11 * BLOCK
    assert os.lseek(fd, 11 * BLOCK, os.SEEK_DATA) == 30 * BLOCK
    assert os.lseek(fd, 30 * BLOCK, os.SEEK_HOLE) == 64 * BLOCK
    os.posix_fallocate(fd, 64 * BLOCK, 10 * BLOCK)
    assert os.fstat(fd).st_size == 74 * BLOCK
    os.ftruncate(fd, 100 * BLOCK)
    os.pwrite(fd, b"not yet written back", 90 * BLOCK)
    assert os.lseek(fd, 80 * BLOCK, os.SEEK_DATA) == 90 * BLOCK
    assert os.lseek(fd, 90 * BLOCK, os.SEEK_HOLE) == 91 * BLOCK
    expect_error(errno.ENXIO, os.lseek, fd, 95 * BLOCK, os.SEEK_DATA)
    expect_error(errno.ENXIO, os.lseek, fd, 100 * BLOCK, os.SEEK_HOLE)
    os.close(fd)


def sparse_copy(directory):
    """cp keeps holes; a program that knows SEEK_HOLE reads only what is there."""
    path = f"{directory}/sparse"
    with open(path, "wb") as file:
        for number in range(8):
            os.pwrite(file.fileno(), b"island", number * 16 * MIB)
    subprocess.run(["cp", "--sparse=auto", "--reflink=never", path, f"{directory}/copy"], check=True)
    assert used_bytes(f"{directory}/copy") <= 8 * 64 * 1024, used_bytes(f"{directory}/copy")
    subprocess.run(["cmp", path, f"{directory}/copy"], check=True)


def extended_attributes(directory):
    """user.* of files and directories, as the tools of Linux see them."""
    for number, path in enumerate((f"{directory}/file", f"{directory}/dir")):
        create(path, b"x") if number == 0 else os.mkdir(path)
        expect_error(errno.ENODATA, os.getxattr, path, "user.note")
        os.setxattr(path, "user.note", b"one")
        os.setxattr(path, "user.big", b"b" * 60_000)
        os.setxattr(path, "user.empty", b"")
        drop_caches()
        assert os.getxattr(path, "user.note") == b"one"
        assert os.getxattr(path, "user.big") == b"b" * 60_000
        assert os.getxattr(path, "user.empty") == b""
        assert sorted(os.listxattr(path)) == ["user.big", "user.empty", "user.note"]
        expect_error(errno.EEXIST, os.setxattr, path, "user.note", b"", os.XATTR_CREATE)
        expect_error(errno.ENODATA, os.setxattr, path, "user.other", b"", os.XATTR_REPLACE)
        os.removexattr(path, "user.big")
        os.setxattr(path, "user.note", b"two", os.XATTR_REPLACE)
        drop_caches()
        assert sorted(os.listxattr(path)) == ["user.empty", "user.note"]
        assert os.getxattr(path, "user.note") == b"two"
    subprocess.run(["cp", "--preserve=xattr", f"{directory}/file", f"{directory}/copy"], check=True)
    assert os.getxattr(f"{directory}/copy", "user.note") == b"two"
    for number in range(300):
        os.setxattr(f"{directory}/dir", f"user.number-{number}", str(number).encode())
    drop_caches()
    assert len(os.listxattr(f"{directory}/dir")) == 302


def umask(directory):
    """What is made has the mode that was asked for without the umask's bits."""
    before = os.umask(0o027)
    os.close(os.open(f"{directory}/file", os.O_WRONLY | os.O_CREAT, 0o666))
    os.mkdir(f"{directory}/dir", 0o777)
    os.mkfifo(f"{directory}/fifo", 0o666)
    os.umask(before)
    drop_caches()
    for name, mode in (("file", 0o640), ("dir", 0o750), ("fifo", 0o640)):
        assert os.stat(f"{directory}/{name}").st_mode & 0o7777 == mode, name
