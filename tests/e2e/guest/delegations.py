"""Steps of tests about delegations: source trees, and what the kernel counts of its requests."""

import errno
import os

from identity import as_user
from names import expect_error


def make_tree(root, directories, files):
    """`files` files in each directory, of the sizes that sources have."""
    for directory in range(directories):
        os.mkdir(f"{root}/{directory}")
        for number in range(files):
            with open(f"{root}/{directory}/{number}.c", "w") as file:
                file.write(f"/* {directory} {number} */\n" * (number * 7 + 1))


def read_tree(root):
    """Reads every file, as a compiler or grep does; the number of bytes."""
    total = 0
    for directory, _, names in sorted(os.walk(root)):
        for name in sorted(names):
            with open(f"{directory}/{name}") as file:
                total += len(file.read())
    return total


def request_counts(mount_point):
    """{operation: requests} that the kernel has made for this mount since it was mounted."""
    counts, is_mine = {}, False
    with open("/proc/self/mountstats") as file:
        for line in file:
            words = line.split()
            if words[:1] == ["device"]:
                is_mine = words[4] == mount_point
            elif is_mine and len(words) >= 8 and words[0].endswith(":") and words[0][:-1].isupper():
                counts[words[0][:-1]] = int(words[1])
    return counts


def write_slowly_open(path, text):
    """Opens a file for writing and writes; its descriptor."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    os.write(fd, text)
    return fd


def more(fd, text):
    os.write(fd, text)
    os.fsync(fd)


def set_times(path):
    """As cp -p, tar and rsync do: writes a file and sets its times, by name and through the descriptor."""
    for number in range(4):
        with open(f"{path}{number}", "wb") as file:
            file.write(b"x" * number * 5000)
            if number % 2:
                os.utime(file.fileno(), (1_100_000_000 + number, 1_000_000_000 + number))
        if number % 2 == 0:
            os.utime(f"{path}{number}", (1_100_000_000 + number, 1_000_000_000 + number))


def times_and_sizes(path):
    found = [os.stat(f"{path}{number}") for number in range(4)]
    return [(attr.st_mtime, attr.st_size) for attr in found]


def truncating_needs_the_right_to_write(path):
    """What one user wrote, and holds a delegation of, another one who may only read it cannot empty with O_TRUNC."""
    def write():
        with open(path, "wb") as file:
            file.write(b"precious")

    def may_not_empty():
        for flags in (os.O_RDONLY | os.O_TRUNC, os.O_WRONLY | os.O_TRUNC, os.O_RDWR):
            expect_error(errno.EACCES, os.open, path, flags)
        with open(path, "rb") as file:
            assert file.read() == b"precious"

    def empties():
        os.close(os.open(path, os.O_WRONLY | os.O_TRUNC))
        assert os.path.getsize(path) == 0
        with open(path, "r+b") as file:
            file.truncate(5000)
            file.truncate(10)
        assert os.path.getsize(path) == 10
        write()

    os.chmod(os.path.dirname(path), 0o777)
    as_user(1000, 1000, [], write)
    as_user(1001, 1001, [], may_not_empty)
    as_user(1000, 1000, [], empties)
    os.chmod(path, 0o444)
    as_user(1000, 1000, [], may_not_empty)
