"""What a client sees under `.snapshot`, and what it may do there."""

import errno
import os
import shutil
import stat

from names import create, drop_caches, expect_error


def make(directory, has_xattrs):
    """A tree with all kinds of things; gives what there is."""
    os.makedirs(f"{directory}/tree/inner")
    create(f"{directory}/tree/small", b"small")
    create(f"{directory}/tree/inner/large", os.urandom(3 << 20))
    create(f"{directory}/tree/gone", b"goes")
    os.symlink("inner/large", f"{directory}/tree/link")
    os.link(f"{directory}/tree/small", f"{directory}/tree/inner/second")
    os.chmod(f"{directory}/tree/small", 0o640)
    if has_xattrs:
        os.setxattr(f"{directory}/tree/small", "user.color", b"red")
    with open(f"{directory}/tree/written", "wb") as file:  # it may be in the client's cache until now
        file.write(b"w" * 100000)
        file.flush()
        os.fsync(file.fileno())
    return state(f"{directory}/tree")


def state(top):
    """Names, kinds, modes, sizes, times and content of all below."""
    drop_caches()
    found = {}
    for here, dirs, files in os.walk(top):
        for name in dirs + files:
            path = f"{here}/{name}"
            attr = os.lstat(path)
            content = b""
            if stat.S_ISREG(attr.st_mode):
                with open(path, "rb") as file:
                    content = file.read()
            elif stat.S_ISLNK(attr.st_mode):
                content = os.readlink(path).encode()
            size = 0 if stat.S_ISDIR(attr.st_mode) else attr.st_size
            found[os.path.relpath(path, top)] = (attr.st_mode, attr.st_uid, size, attr.st_mtime_ns, attr.st_nlink, content)
    return found


def change(directory, has_xattrs):
    """Whatever can be done to it."""
    tree = f"{directory}/tree"
    with open(f"{tree}/inner/large", "r+b") as file:
        file.seek(1 << 20)
        file.write(b"changed" * 1000)
    os.truncate(f"{tree}/written", 10)
    os.unlink(f"{tree}/gone")
    os.unlink(f"{tree}/link")
    os.chmod(f"{tree}/small", 0o600)
    if has_xattrs:
        os.setxattr(f"{tree}/small", "user.color", b"blue")
    os.rename(f"{tree}/inner", f"{directory}/moved")
    os.mkdir(f"{tree}/inner")
    create(f"{tree}/inner/young", b"young")


def look(directory, name, expected, has_xattrs):
    """All of it is there as it was, from the root and from each directory."""
    assert ".snapshot" not in os.listdir(directory)
    assert name in os.listdir(f"{directory}/.snapshot")
    was = f"{directory}/.snapshot/{name}/tree"
    assert state(was) == expected
    assert state(f"{directory}/tree/.snapshot/{name}") == expected
    assert not has_xattrs or os.getxattr(f"{was}/small", "user.color") == b"red"
    assert os.stat(f"{was}/small").st_ino == os.stat(f"{was}/inner/second").st_ino
    assert os.stat(f"{was}/small").st_ino != os.stat(f"{directory}/tree/small").st_ino
    assert os.stat(was).st_dev == os.stat(f"{directory}/tree").st_dev
    inner = {path[6:]: value for path, value in expected.items() if path.startswith("inner/")}
    assert state(f"{directory}/moved/.snapshot/{name}") == inner
    expect_error(errno.ENOENT, os.stat, f"{directory}/tree/inner/.snapshot/{name}")


def write_nothing(directory, name, has_xattrs):
    """Each change is refused: with EROFS, or with EACCES where the client asks before whether it may write."""
    was = f"{directory}/.snapshot/{name}/tree"
    for call, *arguments in (
            (os.mkdir, f"{was}/new"), (os.unlink, f"{was}/small"), (os.rmdir, f"{was}/inner"),
            (os.rename, f"{was}/small", f"{was}/other"), (os.rename, f"{was}/small", f"{directory}/other"),
            (os.link, f"{was}/small", f"{directory}/other"), (os.symlink, "x", f"{was}/new"), (os.chmod, f"{was}/small", 0o777),
            (os.utime, f"{was}/small"), (os.open, f"{was}/small", os.O_WRONLY), (os.open, f"{was}/new", os.O_WRONLY | os.O_CREAT),
            (os.mkdir, f"{directory}/.snapshot/new"), (os.rmdir, f"{directory}/.snapshot/{name}")):
        expect_error(errno.EROFS, call, *arguments)
    asked_before = [(os.truncate, f"{was}/small", 1)]
    if has_xattrs:
        asked_before.append((os.setxattr, f"{was}/small", "user.a", b"b"))
    for call, *arguments in asked_before:
        try:
            call(*arguments)
        except OSError as error:
            assert error.errno in (errno.EROFS, errno.EACCES), error
        else:
            raise AssertionError(f"{call} succeeded")


def copy_back(directory, name, expected):
    """cp brings a file back, sharing its blocks."""
    shutil.rmtree(f"{directory}/tree/inner")
    shutil.copytree(f"{directory}/.snapshot/{name}/tree/inner", f"{directory}/tree/inner")
    with open(f"{directory}/tree/inner/large", "rb") as file:
        assert file.read() == expected["inner/large"][-1]


def is_gone(directory, name):
    """After it was deleted no name leads to it."""
    drop_caches()
    assert name not in os.listdir(f"{directory}/.snapshot")
    expect_error(errno.ENOENT, os.stat, f"{directory}/.snapshot/{name}")
