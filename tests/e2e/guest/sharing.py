"""Steps of tests in which two clients use the same files; each function is one client's part."""

import errno
import fcntl
import os
import struct
import time

LOCK_FORMAT = "hhqqi4x"  # struct flock of x86-64 and arm64: type, whence, start, length, pid


def write_file(path, content):
    """open, write, close: what another client sees at its next open."""
    with open(path, "wb") as file:
        file.write(content)


def read_file(path):
    with open(path, "rb") as file:
        return file.read()


def append_and_close(path, text):
    with open(path, "ab") as file:
        file.write(text)


def create_exclusively(directory, owner, count):
    """Tries to create `count` names with O_EXCL; returns those this owner won, with its name in them."""
    won = []
    for number in range(count):
        try:
            fd = os.open(f"{directory}/lock-{number}", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            continue
        os.write(fd, owner.encode())
        os.close(fd)
        won.append(number)
    return won


def make_directories(directory, count):
    """As create_exclusively, with mkdir."""
    won = []
    for number in range(count):
        try:
            os.mkdir(f"{directory}/directory-{number}")
            won.append(number)
        except FileExistsError:
            pass
    return won


def open_file(path, flags=os.O_RDWR | os.O_CREAT):
    return os.open(path, flags, 0o644)


def flock(fd, is_exclusive, is_waiting=False):
    """True when the lock was granted; False when another has it."""
    kind = fcntl.LOCK_EX if is_exclusive else fcntl.LOCK_SH
    try:
        fcntl.flock(fd, kind if is_waiting else kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock_range(fd, is_exclusive, start, length, is_waiting=False):
    """A POSIX lock of bytes; True when granted, False when another has a part of it."""
    kind = fcntl.F_WRLCK if is_exclusive else fcntl.F_RDLCK
    request = struct.pack(LOCK_FORMAT, kind, os.SEEK_SET, start, length, 0)
    try:
        fcntl.fcntl(fd, fcntl.F_SETLKW if is_waiting else fcntl.F_SETLK, request)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def unlock_range(fd, start, length):
    request = struct.pack(LOCK_FORMAT, fcntl.F_UNLCK, os.SEEK_SET, start, length, 0)
    fcntl.fcntl(fd, fcntl.F_SETLK, request)


def conflicting_lock(fd, is_exclusive, start, length):
    """F_GETLK: None, or (kind, start, length) of a lock that stands in the way."""
    kind = fcntl.F_WRLCK if is_exclusive else fcntl.F_RDLCK
    answer = fcntl.fcntl(fd, fcntl.F_GETLK, struct.pack(LOCK_FORMAT, kind, os.SEEK_SET, start, length, 0))
    kind, _, start, length, _ = struct.unpack(LOCK_FORMAT, answer)
    return None if kind == fcntl.F_UNLCK else ("write" if kind == fcntl.F_WRLCK else "read", start, length)


def count_under_lock(path, rounds, use_flock):
    """Adds 1 to the number in the file, `rounds` times; only the lock keeps two clients from losing some."""
    fd = os.open(path, os.O_RDWR)
    for _ in range(rounds):
        if use_flock:
            fcntl.flock(fd, fcntl.LOCK_EX)
        else:
            lock_range(fd, True, 0, 0, is_waiting=True)
        value = int(os.pread(fd, 32, 0) or b"0")
        os.pwrite(fd, b"%031d" % (value + 1), 0)
        if use_flock:
            fcntl.flock(fd, fcntl.LOCK_UN)
        else:
            unlock_range(fd, 0, 0)
    os.close(fd)


def append_under_lock(path, owner, count):
    """Appends lines, the file locked meanwhile: how several machines write one log."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for number in range(count):
        fcntl.flock(fd, fcntl.LOCK_EX)
        os.write(fd, f"{owner} {number}\n".encode())
        fcntl.flock(fd, fcntl.LOCK_UN)
    os.close(fd)


def wait_for_name(directory, name, limit_s):
    """Until a listing of the directory shows the name; the time it took."""
    start = time.monotonic()
    while name not in os.listdir(directory):
        assert time.monotonic() - start < limit_s, f"{name} was not seen within {limit_s} s"
        time.sleep(0.05)
    return time.monotonic() - start


def mail(directory, count, owner):
    """Writes files under temporary names and renames them to their own, as maildir does."""
    for number in range(count):
        write_file(f"{directory}/tmp-{owner}-{number}", f"{owner} {number}".encode() * 20)
        os.rename(f"{directory}/tmp-{owner}-{number}", f"{directory}/mail-{owner}-{number}")


def take_mail(directory, count, limit_s=60):
    """Moves every mail it finds away, checking that it is complete; returns what it took."""
    taken, deadline = [], time.monotonic() + limit_s
    while len(taken) < count:
        assert time.monotonic() < deadline, f"{len(taken)} of {count} came"
        for name in os.listdir(directory):
            if not name.startswith("mail-"):
                continue
            _, owner, number = name.split("-")
            assert read_file(f"{directory}/{name}") == f"{owner} {number}".encode() * 20, name
            os.unlink(f"{directory}/{name}")
            taken.append((owner, int(number)))
    return taken
