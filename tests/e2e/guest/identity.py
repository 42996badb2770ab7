"""What other users may do: each check runs in a child that has given up root."""

import errno
import os
import stat
import traceback

from names import create, expect_error


def as_user(uid, gid, groups, function, *args):
    """Runs function(*args) as that user; its failure is raised here."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 0
        try:
            os.setgroups(groups)
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            function(*args)
        except BaseException:
            os.write(write_end, traceback.format_exc().encode()[:60000])
            status = 1
        os._exit(status)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as file:
        text = file.read().decode()
    assert os.waitpid(pid, 0)[1] == 0, text


def permissions(directory):
    """Mode bits decide for owner, group (supplementary ones too) and others; root passes."""
    create(f"{directory}/private", b"secret")
    os.chmod(f"{directory}/private", 0o600)
    create(f"{directory}/group", b"ours")
    os.chown(f"{directory}/group", 0, 2000)
    os.chmod(f"{directory}/group", 0o640)
    os.mkdir(f"{directory}/closed", 0o700)
    create(f"{directory}/closed/inside")
    os.mkdir(f"{directory}/drop", 0o777)
    os.chmod(f"{directory}/drop", 0o1777)
    create(f"{directory}/drop/roots", b"x")
    os.chmod(f"{directory}/drop/roots", 0o666)
    os.mkdir(f"{directory}/search")
    create(f"{directory}/search/known", b"found")
    os.chmod(f"{directory}/search", 0o711)
    os.chmod(directory, 0o755)
    as_user(1000, 1000, [], stranger, directory)
    as_user(1000, 1000, [5, 2000], member, directory)
    with open(f"{directory}/private", "rb") as file:
        assert file.read() == b"secret"


def stranger(directory):
    expect_error(errno.EACCES, open, f"{directory}/private", "rb")
    expect_error(errno.EACCES, open, f"{directory}/group", "rb")
    expect_error(errno.EACCES, os.listdir, f"{directory}/closed")
    expect_error(errno.EACCES, os.stat, f"{directory}/closed/inside")
    expect_error(errno.EACCES, create, f"{directory}/new")
    expect_error(errno.EACCES, os.unlink, f"{directory}/private")
    expect_error(errno.EPERM, os.chmod, f"{directory}/private", 0o777)
    expect_error(errno.EPERM, os.chown, f"{directory}/private", 1000, -1)
    expect_error(errno.EPERM, os.utime, f"{directory}/private", (1, 1))
    expect_error(errno.EACCES, os.listdir, f"{directory}/search")
    with open(f"{directory}/search/known", "rb") as file:
        assert file.read() == b"found"
    assert not os.access(f"{directory}/private", os.R_OK)
    # A sticky directory: everyone creates, only owners remove or rename.
    expect_error(errno.EPERM, os.unlink, f"{directory}/drop/roots")
    expect_error(errno.EPERM, os.rename, f"{directory}/drop/roots", f"{directory}/drop/x")
    create(f"{directory}/drop/mine", b"y")
    found = os.stat(f"{directory}/drop/mine")
    assert (found.st_uid, found.st_gid) == (1000, 1000)
    os.chmod(f"{directory}/drop/mine", 0o4755)
    expect_error(errno.EPERM, os.chown, f"{directory}/drop/mine", 1001, -1)
    expect_error(errno.EPERM, os.chown, f"{directory}/drop/mine", -1, 2000)
    os.unlink(f"{directory}/drop/mine")


def member(directory):
    with open(f"{directory}/group", "rb") as file:
        assert file.read() == b"ours"
    expect_error(errno.EACCES, open, f"{directory}/group", "ab")
    create(f"{directory}/drop/given", b"")
    os.chown(f"{directory}/drop/given", -1, 2000)
    assert os.stat(f"{directory}/drop/given").st_gid == 2000


def set_id_bits(directory):
    """A write or a chown by another clears setuid; a setgid directory hands its group down."""
    os.chmod(directory, 0o777)
    create(f"{directory}/program", b"code")
    os.chmod(f"{directory}/program", 0o6777)
    as_user(1000, 1000, [], append, f"{directory}/program")
    assert stat.S_IMODE(os.stat(f"{directory}/program").st_mode) & stat.S_ISUID == 0
    os.mkdir(f"{directory}/team")
    os.chown(f"{directory}/team", 0, 2000)
    os.chmod(f"{directory}/team", 0o2777)
    as_user(1000, 1000, [], make_in_team, f"{directory}/team")


def append(path):
    with open(path, "ab") as file:
        file.write(b"more")


def make_in_team(team):
    create(f"{team}/file")
    os.mkdir(f"{team}/below")
    assert os.stat(f"{team}/file").st_gid == 2000
    below = os.stat(f"{team}/below")
    assert below.st_gid == 2000 and below.st_mode & stat.S_ISGID


def file_without_permission_stays_open(directory):
    """Rights are those of the open: chmod 0 afterwards does not stop the opener's reads and writes."""
    os.chmod(directory, 0o777)
    as_user(1000, 1000, [], read_own_mode_zero, directory)


def read_own_mode_zero(directory):
    fd = os.open(f"{directory}/own", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o000)
    os.write(fd, b"still mine")
    os.fsync(fd)
    assert os.pread(fd, 100, 0) == b"still mine"
    os.close(fd)
    expect_error(errno.EACCES, open, f"{directory}/own", "rb")
