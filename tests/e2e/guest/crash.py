"""Load that goes on while the server is killed, and the check that nothing acknowledged is missing.

The logs are on the host's disk, not on the mount: a line is written only after the call before it returned.
"""

import hashlib
import os
import time


def content_of(name):
    digest = hashlib.sha256(name.encode()).digest()
    return digest * (1 + digest[0] * digest[1] // 64)  # 32 bytes to 32 KiB


class Log:
    """Acknowledged facts, one a line."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, *words):
        os.write(self.fd, (" ".join(words) + "\n").encode())


def tolerate(error_class, function, *args):
    """A repeated call whose first answer was lost with the server finds its own work done already."""
    try:
        function(*args)
    except error_class:
        pass


def change_names(directory, log_path, seconds, worker):
    """Creates synced files and directories, renames and removes them, logging what was acknowledged."""
    log, number, end = Log(log_path), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        name = f"w{worker}-{number}"
        fd = os.open(f"{directory}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.write(fd, content_of(name))
        os.fsync(fd)
        os.close(fd)
        log.write("file", name)
        if number % 3 == 1:
            tolerate(FileNotFoundError, os.rename, f"{directory}/{name}", f"{directory}/{name}-moved")
            log.write("moved", name)
        if number % 5 == 2 and number > 5:
            tolerate(FileNotFoundError, os.unlink, f"{directory}/w{worker}-{number - 2}")
            log.write("gone", f"w{worker}-{number - 2}")
        if number % 4 == 0:
            tolerate(FileExistsError, os.mkdir, f"{directory}/d{worker}-{number}", 0o755)
            tolerate(FileExistsError, os.symlink, name, f"{directory}/l{worker}-{number}")
            log.write("directory", f"d{worker}-{number}")
        number += 1
    return number


def check_names(directory, log_path):
    """Every acknowledged fact holds; returns how many there were."""
    with open(log_path) as file:
        facts = [line.split() for line in file]
    gone = {name for fact, name in facts if fact == "gone"}
    moved = {name for fact, name in facts if fact == "moved"}
    present = set(os.listdir(directory))
    for fact, name in facts:
        if fact == "file" and name not in gone:
            path = name + "-moved" if name in moved else name
            assert path in present, f"{path} was acknowledged and is missing"
            with open(f"{directory}/{path}", "rb") as file:
                assert file.read() == content_of(name), f"{path} does not hold what was synced"
        elif fact == "moved":
            assert name not in present, f"{name} is back after its rename"
        elif fact == "gone" and name not in moved:
            assert name not in present, f"{name} is back after its removal"
        elif fact == "directory":
            assert os.path.isdir(f"{directory}/{name}")
            assert os.path.islink(f"{directory}/l{name[1:]}")
    return len(facts)


def overwrite_blocks(path, seconds, block_size, blocks):
    """Overwrites random blocks of one file, syncing every few; checks all at the end.

    Each block carries its number and a counter: a synced block never shows an older counter."""
    import random
    rng = random.Random(block_size)
    counters = [0] * blocks
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    end, rounds = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        for _ in range(rng.randrange(1, 16)):
            block = rng.randrange(blocks)
            counters[block] += 1
            os.pwrite(fd, block_content(block, counters[block], block_size), block * block_size)
        os.fsync(fd)
        rounds += 1
    os.close(fd)
    return rounds, counters


def block_content(block, counter, block_size):
    return (b"%08d %08d " % (block, counter) * (block_size // 18 + 1))[:block_size]


def check_blocks(path, counters, block_size):
    with open(path, "rb") as file:
        for block, counter in enumerate(counters):
            expected = block_content(block, counter, block_size) if counter else None
            found = file.read(block_size)
            if expected is not None:
                assert found == expected, f"block {block}: {found[:18]}, not {expected[:18]}"


def fill(directory, size_bytes):
    """Writes files until the disk is full; returns (how many bytes fitted, errno of the refusal)."""
    piece = os.urandom(1 << 20)
    for number in range(size_bytes >> 23):
        try:
            with open(f"{directory}/fill-{number}", "wb", buffering=0) as file:
                for _ in range(8):
                    file.write(piece)
                os.fsync(file.fileno())
        except OSError as error:
            return number << 23, error.errno
    return size_bytes, 0


def remove_all(directory):
    for name in os.listdir(directory):
        os.unlink(f"{directory}/{name}")
