"""What files hold: sparse and large ones, unlinked ones, appends, syncs, direct I/O and mappings."""

import errno
import hashlib
import mmap
import os
import time

from names import create, drop_caches, expect_error

MIB = 1 << 20


def sparse_file(directory, size_max):
    """Holes read as zeros and cost nothing; a file reaches `size_max` bytes and not one more."""
    path = f"{directory}/sparse"
    offsets = [0, 5 * MIB + 3, (4 << 30) - 2, (1 << 40) + 7, size_max - 4]
    with open(path, "wb") as file:
        for offset in offsets:
            os.pwrite(file.fileno(), b"here", offset)
    drop_caches()
    found = os.stat(path)
    assert found.st_size == offsets[-1] + 4
    assert found.st_blocks * 512 < 2 * MIB, f"{found.st_blocks * 512} bytes for {len(offsets)} blocks"
    with open(path, "rb") as file:
        for offset in offsets:
            start = max(offset - 8, 0)
            expected = b"\0" * (offset - start) + b"here"
            assert os.pread(file.fileno(), len(expected), start) == expected, offset
        assert os.pread(file.fileno(), MIB, 1 << 41) == b"\0" * MIB
    fd = os.open(path, os.O_WRONLY)
    expect_error(errno.EFBIG, os.pwrite, fd, b"x", size_max)
    expect_error(errno.EFBIG, os.ftruncate, fd, size_max + 1)
    os.close(fd)
    os.truncate(path, 5 * MIB + 5)
    os.truncate(path, 6 * MIB)
    with open(path, "rb") as file:
        assert os.pread(file.fileno(), 10, 5 * MIB) == b"\0\0\0he\0\0\0\0\0"


def truncation(directory):
    """What is cut off does not come back when the file grows again."""
    path = f"{directory}/file"
    for size in (1, 100, 4095, 4096, 4097, 65536, 130000, 3 * MIB + 1):
        create(path, b"\xaa" * size)
        for cut in (size - 1, size // 2, 0):
            os.truncate(path, cut)
            drop_caches()
            assert os.stat(path).st_size == cut
            os.truncate(path, size + 10)
            drop_caches()
            with open(path, "rb") as file:
                content = file.read()
            assert content == b"\xaa" * cut + b"\0" * (size + 10 - cut), (size, cut)
            os.truncate(path, cut)
        os.unlink(path)
    create(path, b"old")
    os.close(os.open(path, os.O_WRONLY | os.O_TRUNC))
    assert os.stat(path).st_size == 0


def wait_for_names(directory, names, limit_s=10):
    """The client removes a file that was open when it was unlinked soon after its close, not before it."""
    end = time.monotonic() + limit_s
    while sorted(os.listdir(directory)) != names:
        assert time.monotonic() < end, os.listdir(directory)
        time.sleep(0.05)


def unlinked_but_open(directory):
    """A file lives on until its last close, and its directory can be removed then."""
    path = f"{directory}/below/file"
    os.mkdir(f"{directory}/below")
    create(path, b"before")
    fd = os.open(path, os.O_RDWR)
    os.unlink(path)
    expect_error(errno.ENOENT, os.stat, path)
    assert os.write(fd, b"after!!") == 7
    os.fsync(fd)
    drop_caches()
    assert os.pread(fd, 100, 0) == b"after!!"
    create(path, b"another of the same name")
    assert os.fstat(fd).st_size == 7
    os.ftruncate(fd, 3)
    assert os.pread(fd, 100, 0) == b"aft"
    os.close(fd)
    os.unlink(path)
    wait_for_names(f"{directory}/below", [])
    os.rmdir(f"{directory}/below")


def replaced_while_open(directory):
    """rename() over an open file: the opener keeps the old one, new openers see the new one."""
    create(f"{directory}/target", b"old")
    fd = os.open(f"{directory}/target", os.O_RDONLY)
    create(f"{directory}/new", b"new")
    os.rename(f"{directory}/new", f"{directory}/target")
    with open(f"{directory}/target", "rb") as file:
        assert file.read() == b"new"
    drop_caches()
    assert os.pread(fd, 10, 0) == b"old"
    os.close(fd)
    wait_for_names(directory, ["target"])


def appends_by_two_processes(directory):
    """O_APPEND in one client: no record of either process is lost or torn."""
    path = f"{directory}/log"
    children = []
    for child in range(2):
        pid = os.fork()
        if pid == 0:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            for number in range(500):
                os.write(fd, f"{child} {number:06} {'x' * 50}\n".encode())
            os.close(fd)
            os._exit(0)
        children.append(pid)
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0
    drop_caches()
    with open(path) as file:
        lines = file.read().splitlines()
    for child in range(2):
        mine = [line for line in lines if line.startswith(f"{child} ")]
        assert mine == [f"{child} {number:06} {'x' * 50}" for number in range(500)]
    assert len(lines) == 1000


def mapping(directory):
    """A shared mapping and read/write see the same bytes; the file has them after the sync."""
    path = f"{directory}/mapped"
    create(path, b"\0" * (3 * 4096 + 100))
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as area:
        area[4090:4100] = b"0123456789"
        assert os.pread(file.fileno(), 10, 4090) == b"0123456789"
        os.pwrite(file.fileno(), b"abc", 8192)
        assert area[8192:8195] == b"abc"
        area.flush()
    drop_caches()
    with open(path, "rb") as file:
        content = file.read()
    assert content[4090:4100] == b"0123456789" and content[8192:8195] == b"abc"
    assert len(content) == 3 * 4096 + 100


def large_file(directory, size_mib):
    """Written by dd in blocks of odd size, read back whole and in part, compared by digest."""
    path = f"{directory}/large"
    written = hashlib.sha256()
    block = bytes(range(256)) * 4096
    with open(path, "wb", buffering=0) as file:
        for number in range(size_mib):
            piece = number.to_bytes(8, "big") + block[8:]
            for part in (piece[:333333], piece[333333:]):
                assert file.write(part) == len(part)
            written.update(piece)
        os.fsync(file.fileno())
    drop_caches()
    read = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(777777):
            read.update(piece)
        assert os.pread(file.fileno(), 8, (size_mib - 1) * MIB) == (size_mib - 1).to_bytes(8, "big")
    assert read.digest() == written.digest()
    assert os.stat(path).st_size == size_mib * MIB
    assert os.stat(path).st_blocks * 512 >= size_mib * MIB


def many_small_files(directory, count):
    """Sizes around every boundary (inline, page, block); all are read back after the caches are dropped."""
    sizes = [0, 1, 100, 511, 2047, 2048, 2049, 4095, 4096, 4097, 8192, 65535, 65536, 65537, 131073]
    for number in range(count):
        size = sizes[number % len(sizes)]
        create(f"{directory}/f{number}", content_of(number, size))
    drop_caches()
    for number in range(count):
        with open(f"{directory}/f{number}", "rb") as file:
            assert file.read() == content_of(number, sizes[number % len(sizes)]), number


def content_of(number, size):
    return (hashlib.sha256(str(number).encode()).digest() * (size // 32 + 1))[:size]


def newer_calls(directory):
    """What a 4.2 client may ask for works, or is refused with the error that programs fall back from."""
    create(f"{directory}/source", b"a" * 100_000)
    with open(f"{directory}/source", "rb") as source, open(f"{directory}/copy", "wb") as copy:
        left = 100_000
        while left > 0:
            left -= os.copy_file_range(source.fileno(), copy.fileno(), left)
        copy.flush()
        # Without SEEK the client takes the whole file as data, which is always right.
        assert os.lseek(source.fileno(), 0, os.SEEK_DATA) == 0
        assert os.lseek(source.fileno(), 0, os.SEEK_HOLE) <= 100_000
    with open(f"{directory}/copy", "rb") as file:
        assert file.read() == b"a" * 100_000
    fd = os.open(f"{directory}/copy", os.O_RDWR)
    try:
        os.posix_fallocate(fd, 0, 200_000)
        assert os.fstat(fd).st_size == 200_000
    except OSError as error:
        assert error.errno in (errno.EOPNOTSUPP, errno.EINVAL), error
    os.close(fd)
    try:
        os.setxattr(f"{directory}/copy", "user.note", b"x")
        assert os.getxattr(f"{directory}/copy", "user.note") == b"x"
    except OSError as error:
        assert error.errno == errno.EOPNOTSUPP, error
