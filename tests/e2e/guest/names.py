"""Names and what they lead to: directories, links, special files, attributes."""

import errno
import os
import random
import socket
import stat
import subprocess


def expect_error(number, function, *args, **kwargs):
    """The call must fail with exactly that errno."""
    try:
        function(*args, **kwargs)
    except OSError as error:
        assert error.errno == number, f"{function.__name__}{args}: {error}, not {os.strerror(number)}"
        return
    raise AssertionError(f"{function.__name__}{args} succeeded, not {os.strerror(number)}")


def create(path, content=b"", mode=0o644):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(fd, "wb") as file:
        file.write(content)


def drop_caches():
    """Makes the client ask the server again (dentries, inodes, clean pages)."""
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("3")


def odd_names(directory):
    """Names of any bytes are kept exactly; those that cannot be give the error for it."""
    root = os.fsencode(directory)
    names = [b"a" * 255, "\u00fc\u00f1\u00efc\u00f6de \U0001f41f".encode(), b"latin1 \xe9\xff", b"\x01\x7f\n\t",
             b" leading and trailing ", b"...", b"-rf", b"*?[]", b"back\\slash", b"caf\xc3\xa9",
             b"cafe\xcc\x81", b"CASE", b"case", b"~", b"#x#", b"%00", b"\xf0\x9f" * 127]
    for index, name in enumerate(names):
        create(os.path.join(root, name), str(index).encode())
    drop_caches()
    assert sorted(os.listdir(root)) == sorted(names)
    for index, name in enumerate(names):
        with open(os.path.join(root, name), "rb") as file:
            assert file.read() == str(index).encode(), name
    expect_error(errno.ENAMETOOLONG, os.mkdir, os.path.join(root, b"a" * 256))
    expect_error(errno.EEXIST, create, os.path.join(root, b"case"))
    for name in names:
        os.unlink(os.path.join(root, name))
    assert os.listdir(root) == []


def deep_path(directory, depth):
    """A tree of `depth` levels, reached level by level; removed from below."""
    here = os.open(directory, os.O_RDONLY)
    for level in range(depth):
        os.mkdir(f"level-{level}", dir_fd=here)
        below = os.open(f"level-{level}", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("bottom", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    count = sum(len(files) for _, _, files in os.walk(directory))
    assert count == 1
    subprocess.run(["rm", "-rf", f"{directory}/level-0"], check=True)
    assert os.listdir(directory) == []


def symbolic_links(directory):
    """Targets are kept byte for byte, up to the 4095 that Linux can follow, and followed by the client."""
    create(f"{directory}/file", b"content")
    targets = ["file", "./file", f"{directory}/file", "missing", "a" * 4095, "//..//x", " ",
               os.fsdecode(b"\xff\xfe")]
    for index, target in enumerate(targets):
        os.symlink(target, f"{directory}/link{index}")
    drop_caches()
    for index, target in enumerate(targets):
        found = os.readlink(f"{directory}/link{index}")
        assert found == target
        attributes = os.lstat(f"{directory}/link{index}")
        assert stat.S_ISLNK(attributes.st_mode)
        assert attributes.st_size == len(os.fsencode(target))
    for index in range(3):
        with open(f"{directory}/link{index}", "rb") as file:
            assert file.read() == b"content"
    expect_error(errno.ENOENT, os.stat, f"{directory}/link3")
    expect_error(errno.EEXIST, os.symlink, "x", f"{directory}/link3")
    expect_error(errno.ENAMETOOLONG, os.symlink, "a" * 5000, f"{directory}/too-long")
    os.symlink("loop", f"{directory}/loop")
    expect_error(errno.ELOOP, os.stat, f"{directory}/loop")
    os.rename(f"{directory}/link1", f"{directory}/renamed")
    assert os.readlink(f"{directory}/renamed") == targets[1]


def hard_links(directory, count):
    """All names of a file are that file; the last one removed removes it."""
    os.mkdir(f"{directory}/below")
    create(f"{directory}/name0", b"shared")
    for number in range(1, count):
        parent = f"{directory}/below" if number % 2 else directory
        os.link(f"{directory}/name0", f"{parent}/name{number}")
    drop_caches()
    first = os.stat(f"{directory}/name0")
    assert first.st_nlink == count
    assert os.stat(f"{directory}/below/name1").st_ino == first.st_ino
    with open(f"{directory}/below/name1", "ab") as file:
        file.write(b" by all")
    os.chmod(f"{directory}/below/name1", 0o640)
    assert stat.S_IMODE(os.stat(f"{directory}/name0").st_mode) == 0o640
    expect_error(errno.EEXIST, os.link, f"{directory}/name0", f"{directory}/below/name1")
    expect_error(errno.EPERM, os.link, f"{directory}/below", f"{directory}/directory-link")
    os.rename(f"{directory}/name0", f"{directory}/below/name1")  # two names of one file: nothing happens
    assert os.path.exists(f"{directory}/name0")
    for number in range(count - 1):
        parent = f"{directory}/below" if number % 2 else directory
        os.unlink(f"{parent}/name{number}")
    last = f"{directory}/below/name{count - 1}" if count % 2 == 0 else f"{directory}/name{count - 1}"
    assert os.stat(last).st_nlink == 1
    with open(last, "rb") as file:
        assert file.read() == b"shared by all"


def special_files(directory):
    """FIFOs and sockets carry data between processes of one client; they show their types."""
    fifo = f"{directory}/fifo"
    os.mkfifo(fifo, 0o600)
    if os.fork() == 0:
        with open(fifo, "wb") as file:
            file.write(b"through the fifo")
        os._exit(0)
    with open(fifo, "rb") as file:
        assert file.read() == b"through the fifo"
    os.wait()
    path = f"{directory}/s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        with socket.socket(socket.AF_UNIX) as sender:
            sender.connect(path)
            sender.sendall(b"through the socket")
            accepted, _ = listener.accept()
            assert accepted.recv(100) == b"through the socket"
            accepted.close()
    drop_caches()
    assert stat.S_ISFIFO(os.lstat(fifo).st_mode) and stat.S_IMODE(os.lstat(fifo).st_mode) == 0o600
    assert stat.S_ISSOCK(os.lstat(path).st_mode)
    kinds = {entry.name: stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode)
             for entry in os.scandir(directory)}
    assert kinds == {"fifo": stat.S_IFIFO, "s": stat.S_IFSOCK}
    os.link(fifo, fifo + "2")
    os.unlink(fifo)
    os.unlink(fifo + "2")
    os.unlink(path)


def directories(directory):
    """Link counts, removal and renames of directories, with the errors POSIX has for them."""
    one, two = f"{directory}/one", f"{directory}/two"
    os.mkdir(one, 0o750)
    assert os.stat(directory).st_nlink == 3
    os.mkdir(two)
    os.mkdir(f"{one}/child")
    assert os.stat(one).st_nlink == 3
    create(f"{directory}/file")
    expect_error(errno.EEXIST, os.mkdir, one)
    expect_error(errno.EEXIST, os.mkdir, f"{directory}/file")
    expect_error(errno.ENOTDIR, os.mkdir, f"{directory}/file/x")
    expect_error(errno.ENOENT, os.mkdir, f"{directory}/none/x")
    expect_error(errno.ENOTEMPTY, os.rmdir, one)
    expect_error(errno.ENOTDIR, os.rmdir, f"{directory}/file")
    expect_error(errno.EISDIR, os.unlink, one)
    expect_error(errno.EINVAL, os.rename, one, f"{one}/child/x")
    expect_error(errno.ENOTEMPTY, os.rename, two, one)
    expect_error(errno.ENOTDIR, os.rename, two, f"{directory}/file")
    expect_error(errno.EISDIR, os.rename, f"{directory}/file", two)
    os.rename(one, two)  # onto an empty directory
    drop_caches()
    assert os.listdir(two) == ["child"]
    assert os.stat(directory).st_nlink == 3
    os.mkdir(f"{directory}/other")
    os.rename(f"{two}/child", f"{directory}/other/child")
    assert os.stat(two).st_nlink == 2 and os.stat(f"{directory}/other").st_nlink == 3
    child = os.open(f"{directory}/other/child", os.O_RDONLY)
    assert os.stat("..", dir_fd=child).st_ino == os.stat(f"{directory}/other").st_ino
    os.close(child)


def modes_and_times(directory):
    """Every mode bit, numeric owners and nanosecond times are kept by the server."""
    path = f"{directory}/file"
    create(path, b"x")
    for mode in (0, 0o777, 0o4755, 0o2755, 0o1644, 0o7777, 0o640):
        os.chmod(path, mode)
        drop_caches()
        assert stat.S_IMODE(os.stat(path).st_mode) == mode, oct(mode)
    for owner, group in ((1000, 1000), (65534, 0), (4294967294, 4294967293), (0, 7)):
        os.chown(path, owner, group)
        drop_caches()
        found = os.stat(path)
        assert (found.st_uid, found.st_gid) == (owner, group)
    for seconds, nanoseconds in ((1, 1), (1_600_000_000, 123_456_789), (4_102_444_800, 999_999_999),
                                 (0, 0), (-1_000_000, 5)):
        value = seconds * 1_000_000_000 + nanoseconds
        os.utime(path, ns=(value, value + 1))
        drop_caches()
        found = os.stat(path)
        assert (found.st_atime_ns, found.st_mtime_ns) == (value, value + 1)
    before = os.stat(path)
    os.chmod(path, 0o600)
    after = os.stat(path)
    assert after.st_ctime_ns > before.st_ctime_ns and after.st_mtime_ns == before.st_mtime_ns
    with open(path, "ab") as file:
        file.write(b"y")
    assert os.stat(path).st_mtime_ns > before.st_mtime_ns
    os.chmod(path, 0o6777)
    os.chown(path, 5, 5)
    assert stat.S_IMODE(os.stat(path).st_mode) & 0o6000 == 0 or os.geteuid() == 0


def list_names(directory):
    return [entry.name for entry in os.scandir(directory)]


def fill_directory(directory, count, processes=4):
    """`count` empty files, made by several processes."""
    children = []
    for child in range(processes):
        pid = os.fork()
        if pid == 0:
            for number in range(child, count, processes):
                os.close(os.open(f"{directory}/stays-{number}", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            os._exit(0)
        children.append(pid)
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0


def churn(directory, seconds, seed):
    """Creates and removes other names for that long; returns how many times."""
    import time
    rng = random.Random(seed)
    rounds, present, end = 0, set(), time.monotonic() + seconds
    while time.monotonic() < end:
        name = f"{directory}/comes-and-goes-{rng.randrange(300)}"
        if name in present:
            os.unlink(name)
            present.discard(name)
        else:
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            present.add(name)
        rounds += 1
    for name in present:
        os.unlink(name)
    return rounds


def list_exactly(directory, count, rounds):
    """Each listing has every name that stays exactly once, whatever others do meanwhile."""
    expected = {f"stays-{number}" for number in range(count)}
    for _ in range(rounds):
        drop_caches()
        names = list_names(directory)
        assert len(names) == len(set(names)), "a name was listed twice"
        stays = {name for name in names if name.startswith("stays-")}
        assert stays == expected, f"missing {sorted(expected - stays)[:5]}"


def remove_while_listing(directory):
    """rm -r's way: entries are removed while the directory is being read."""
    with os.scandir(directory) as entries:
        for entry in entries:
            os.unlink(entry.path)
    assert os.listdir(directory) == []


def storm(directory, processes, operations, seed):
    """Processes create, link, rename and unlink at random in a few directories, each its own names.

    At the end every name must be where its owner's model has it, with its content, and nothing else."""
    for number in range(4):
        os.mkdir(f"{directory}/d{number}")
    children = []
    for child in range(processes):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                storm_process(directory, child, operations, random.Random(seed * 1000 + child))
                status = 0
            finally:
                os._exit(status)
        children.append(pid)
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0, f"a process failed (seed {seed})"
    drop_caches()
    expected = set()
    for child in range(processes):
        with open(f"{directory}/model-{child}") as file:
            for line in file:
                path, content = line.rstrip("\n").split("\t")
                expected.add(path)
                with open(f"{directory}/{path}") as found:
                    assert found.read() == content, path
    found = {f"d{number}/{name}" for number in range(4) for name in os.listdir(f"{directory}/d{number}")}
    assert found == expected, f"seed {seed}: {found ^ expected}"


def storm_process(directory, child, operations, rng):
    """One process of storm(); writes its model (path, content) beside the directories."""
    model = {}

    def new_name():
        return f"d{rng.randrange(4)}/p{child}-{rng.randrange(40)}"

    for number in range(operations):
        path, action = new_name(), rng.randrange(10)
        if path not in model:
            content = f"{child} {number}"
            create(f"{directory}/{path}", content.encode())
            model[path] = content
        elif action < 3:
            os.unlink(f"{directory}/{path}")
            del model[path]
        elif action < 8:
            target = new_name()
            os.rename(f"{directory}/{path}", f"{directory}/{target}")
            model[target] = model.pop(path)
        else:
            target = new_name()
            if target in model:
                expect_error(errno.EEXIST, os.link, f"{directory}/{path}", f"{directory}/{target}")
            else:
                os.link(f"{directory}/{path}", f"{directory}/{target}")
                model[target] = model[path]
                os.unlink(f"{directory}/{path}")
                del model[path]
    with open(f"{directory}/model-{child}", "w") as file:
        file.writelines(f"{path}\t{content}\n" for path, content in model.items())


def rename_race(directory, processes, rounds):
    """All processes rename one file among the same names: it exists under exactly one at the end."""
    create(f"{directory}/n0", b"the one")
    children = []
    for child in range(processes):
        pid = os.fork()
        if pid == 0:
            rng = random.Random(child)
            for _ in range(rounds):
                try:
                    os.rename(f"{directory}/n{rng.randrange(4)}", f"{directory}/n{rng.randrange(4)}")
                except FileNotFoundError:
                    pass  # another process has moved it
            os._exit(0)
        children.append(pid)
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0
    drop_caches()
    names = os.listdir(directory)
    assert len(names) == 1, names
    with open(f"{directory}/{names[0]}", "rb") as file:
        assert file.read() == b"the one"
