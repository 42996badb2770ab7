"""shoal ls, cp, verify, cat, rm, mkdir, stat and du: against a running shoald, with no mount and no root needed.

What cp has done is judged here by looking at the files with Python, not by shoal's own comparison.
"""

import json
import os
import pathlib
import random
import re
import shutil
import socket
import stat
import subprocess
import tempfile
import threading
import time

import pytest
from cutting_proxy import CuttingProxy
from shoal_server import find_program

SEED = int(os.environ.get("SHOAL_TEST_SEED", "20260101"))
MIB = 1 << 20


def run(server, *words, stdin=subprocess.DEVNULL, text=True, timeout_s=180):
    """Runs shoal with the server's data directory; bytes are allowed among the words."""
    command = [str(find_program("shoal"))] + [w if isinstance(w, bytes) else str(w) for w in words]
    return subprocess.run(command, env={**server.env, "SHOAL_DATA": str(server.data_dir)}, stdin=stdin,
                          capture_output=True, text=text, errors="replace" if text else None,
                          timeout=timeout_s)


def shoal(server, *words, **options):
    """As run(), and it must have succeeded; returns its standard output."""
    done = run(server, *words, **options)
    assert done.returncode == 0, f"shoal {words}: {done.returncode}\n{done.stderr}"
    return done.stdout


def refusal(done, status=1):
    """The last sentence of a command that has failed."""
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    lines = done.stderr.splitlines()
    assert lines and all(line.startswith("shoal: ") for line in lines), done.stderr
    return lines[-1]


def describe(root):
    """Everything about a local tree that a copy has to keep: {path: attributes}."""
    root = os.fsencode(root)
    found = {}
    first_names = {}
    pending = [b""]
    while pending:
        path = pending.pop()
        full = os.path.join(root, path)
        info = os.lstat(full)
        facts = {"type": stat.S_IFMT(info.st_mode), "mtime": info.st_mtime_ns}
        if os.geteuid() == 0:
            facts["owner"] = (info.st_uid, info.st_gid)
        if stat.S_ISLNK(info.st_mode):
            facts["target"] = os.readlink(full)
        else:
            facts["mode"] = stat.S_IMODE(info.st_mode)
        if stat.S_ISREG(info.st_mode):
            facts["size"] = info.st_size
            with open(full, "rb") as file:
                facts["data"] = hash(file.read())
            if info.st_nlink > 1:
                first_names.setdefault(info.st_ino, []).append(path)
        if stat.S_ISDIR(info.st_mode):
            pending += [os.path.join(path, name) for name in os.listdir(full)]
        found[path] = facts
    for names in first_names.values():
        for name in names:
            found[name]["names"] = tuple(sorted(names))
    return found


def assert_same_tree(a, b):
    left, right = describe(a), describe(b)
    assert left.keys() == right.keys()
    assert {path: facts for path, facts in left.items() if right[path] != facts} == {}


def make_tree(root, seed=SEED):
    """A tree with one of everything."""
    rand = random.Random(seed)
    os.makedirs(root / "deep" / "er" / "and" / "deeper")
    os.makedirs(root / "empty directory")
    (root / "empty").touch()
    (root / "one byte").write_bytes(b"1")
    for size in (4095, 4096, 4097, 65536, MIB - 1, MIB, MIB + 1, 5 * MIB + 3):
        (root / f"size-{size}").write_bytes(rand.randbytes(size))
    with open(root / "sparse", "wb") as file:
        file.seek(7 * MIB)
        file.write(b"in the middle")
        file.truncate(20 * MIB)
    with open(root / "only a hole", "wb") as file:
        file.truncate(3 * MIB)
    odd_names = [b"n" * 255, b"line\nbreak", b"tab\t", b"\xff\xfe not utf-8", b"-rf", b"a:b", b" ", b"\\", "ü€𝄞".encode(),
                 b"*?[", b"...", b"%s%n"]
    for name in odd_names:
        with open(os.path.join(os.fsencode(root), name), "wb") as file:
            file.write(name)
    os.link(root / "one byte", root / "deep" / "second name")
    os.link(root / "one byte", root / "deep" / "er" / "third name")
    os.link(root / f"size-{5 * MIB + 3}", root / "deep" / "big second name")
    os.symlink("../one byte", root / "deep" / "link")
    os.symlink("/nowhere/at all", root / "dangling")
    os.symlink("x" * 1000, root / "long link")
    os.mkfifo(root / "fifo")
    os.chmod(root / "fifo", 0o640)
    with socket.socket(socket.AF_UNIX) as sock:
        where = os.getcwd()
        os.chdir(root)  # a socket's path must be short
        sock.bind("socket")
        os.chdir(where)
    os.chmod(root / "empty", 0o400)
    os.chmod(root / "size-4096", 0o777)
    os.chmod(root / "empty directory", 0o1775)
    if os.geteuid() == 0:
        os.chown(root / "size-4095", 1234, 5678)
        os.chmod(root / "size-4095", 0o6755)
        os.lchown(root / "dangling", 12, 34)
    os.utime(root / "empty", ns=(1, 2))
    os.utime(root / "one byte", ns=(-1_000_000_001, -5_000_000_002))
    os.utime(root / "dangling", ns=(3, 10**18 + 7), follow_symlinks=False)
    os.utime(root / "deep" / "er", ns=(5, 4 * 10**18 + 123456789))
    os.utime(root / "empty directory", ns=(8, 9))


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("source") / "tree"
    root.mkdir()
    make_tree(root)
    return root


@pytest.fixture(scope="module")
def service(server):
    """The server with its default file system."""
    server.contract = server.up()
    return server


# --- copying --------------------------------------------------------------------------------------

def test_a_tree_copied_in_and_out_is_the_same(service, tree, tmp_path):
    said = shoal(service, "cp", "-r", tree, "default:/round")
    assert "every byte and attribute is the same" in said
    shoal(service, "cp", "-r", "default:/round", tmp_path)
    assert_same_tree(tree, tmp_path / "round")


def test_a_copy_keeps_holes(service, tree, tmp_path):
    shoal(service, "cp", "-r", tree, "default:/holes")
    facts = json.loads(shoal(service, "stat", "--json", "default:/holes/sparse"))[0]
    assert facts["size_bytes"] == 20 * MIB and facts["space_used_bytes"] < 2 * MIB
    shoal(service, "cp", "default:/holes/sparse", tmp_path)
    assert os.stat(tmp_path / "sparse").st_blocks * 512 < 2 * MIB


def test_copying_again_replaces_what_is_there(service, tree, tmp_path):
    shoal(service, "cp", "-r", tree, "default:/again")
    (tmp_path / "other").mkdir()
    make_tree(tmp_path / "other" / "tree", seed=SEED + 1)
    shoal(service, "cp", "-rT", tmp_path / "other" / "tree", "default:/again")
    shoal(service, "cp", "-r", "default:/again", tmp_path)
    assert_same_tree(tmp_path / "other" / "tree", tmp_path / "again")


def test_a_copy_between_file_systems_is_the_same(service, tree, tmp_path):
    other, _ = service.create_file_system()
    shoal(service, "cp", "-r", tree, "default:/between")
    shoal(service, "cp", "-r", "default:/between", f"{other}:/")
    shoal(service, "verify", "default:/between", f"{other}:/between")
    shoal(service, "cp", "-r", f"{other}:/between", tmp_path)
    assert_same_tree(tree, tmp_path / "between")


def test_many_small_files(service, tmp_path):
    source = tmp_path / "many"
    for i in range(40):
        os.makedirs(source / f"d{i}")
        for j in range(50):
            (source / f"d{i}" / f"f{j}").write_bytes(f"{i} {j}\n".encode() * (j % 7))
    result = json.loads(shoal(service, "cp", "-r", "--json", source, "default:/many"))
    assert result["copied"]["files"] == 2000 and result["copied"]["directories"] == 41
    assert result["verified"] and result["compared"]["entries"] == 2041
    shoal(service, "rm", "-r", "default:/many")
    assert "There is no default:/many" in refusal(run(service, "ls", "default:/many"))


def test_cp_goes_into_a_directory_that_exists(service, tmp_path):
    (tmp_path / "file").write_text("x")
    shoal(service, "mkdir", "default:/into")
    shoal(service, "cp", tmp_path / "file", "default:/into")
    shoal(service, "cp", tmp_path / "file", "default:/into/renamed")
    assert shoal(service, "ls", "default:/into") == "file\nrenamed\n"


def test_a_copy_does_not_follow_links_out_of_its_tree(service, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_text("untouched")
    (tmp_path / "from" / "dir").mkdir(parents=True)
    (tmp_path / "from" / "dir" / "victim").write_text("overwritten")
    shoal(service, "cp", "-r", tmp_path / "from", "default:/trap")
    (tmp_path / "to").mkdir()
    os.symlink(outside, tmp_path / "to" / "dir")
    done = run(service, "cp", "-rT", "default:/trap", tmp_path / "to")
    assert done.returncode == 1
    assert (outside / "victim").read_text() == "untouched"


@pytest.fixture
def someone(service, tmp_path_factory):
    """Runs shoal as a user without rights, by address; gives (run, a directory of that user here, a place there)."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="shoal-someone-"))
    target = service.contract["mount_targets"][0]["ip"]
    place = f"{target}:{service.nfs_port}:/someone"
    shoal(service, "mkdir", "-p", "-m", "0777", "default:/someone")
    user = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    if user:
        os.chown(directory, 65534, 65534)

    def run_as(*words):
        return subprocess.run([str(find_program("shoal")), *map(str, words)], env=service.env, text=True, timeout=60,
                              stdin=subprocess.DEVNULL, capture_output=True, **user)

    yield run_as, directory, place
    shoal(service, "rm", "-rf", "default:/someone")
    for path in directory.glob("*/*"):
        path.chmod(0o700)
    shutil.rmtree(directory)


def test_what_cannot_be_read_is_named_and_the_rest_is_copied(someone):
    run_as, directory, place = someone
    source = directory / "partly"
    source.mkdir()
    (source / "secret").write_text("x")
    (source / "open").write_text("y")
    (source / "closed").mkdir()
    for path in source.iterdir():
        if os.geteuid() == 0:
            os.chown(path, 65534, 65534)
    os.chmod(source / "secret", 0)
    os.chmod(source / "closed", 0)
    done = run_as("cp", "-r", source, place)
    assert done.returncode == 1
    assert f"{source}/secret cannot be copied: Permission denied." in done.stderr
    assert f"{source}/closed cannot be read: Permission denied." in done.stderr
    assert run_as("cat", f"{place}/partly/open").stdout == "y"


def test_permissions_of_the_server_hold(service, someone):
    run_as, directory, place = someone
    (directory / "file").write_text("x")
    assert "Permission denied" in refusal(run_as("mkdir", place.replace("someone", "forbidden")))
    done = run_as("cp", directory / "file", place.replace("someone", ""))
    assert done.returncode == 1 and "cannot be copied: Permission denied" in done.stderr
    shoal(service, "mkdir", "-m", "0700", "default:/someone/private")
    assert "Permission denied" in refusal(run_as("ls", f"{place}/private"))
    assert "Permission denied" in run_as("rm", "-r", f"{place}/private").stderr


def test_a_file_in_the_place_of_a_directory_is_reported(service, tmp_path):
    (tmp_path / "a" / "x").mkdir(parents=True)
    (tmp_path / "a" / "x" / "f").write_text("1")
    (tmp_path / "a" / "y").write_text("2")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x").write_text("in the way")
    shoal(service, "cp", "-r", tmp_path / "b", "default:/clash")
    done = run(service, "cp", "-rT", tmp_path / "a", "default:/clash")
    assert done.returncode == 1 and "a/x cannot be made: Not a directory." in done.stderr
    assert shoal(service, "cat", "default:/clash/x", "default:/clash/y") == "in the way2"


def test_cp_refuses_what_makes_no_sense(service, tmp_path):
    (tmp_path / "d").mkdir()
    assert "-r copies it" in refusal(run(service, "cp", tmp_path / "d", "default:/d"))
    assert "Neither" in refusal(run(service, "cp", "-r", tmp_path / "d", tmp_path / "e"), 2)
    assert "There is no" in refusal(run(service, "cp", tmp_path / "nothing", "default:/d"))
    shoal(service, "mkdir", "-p", "default:/self/below")
    done = run(service, "cp", "-r", "default:/self", "default:/self/below")
    assert done.returncode == 1 and "not copied into itself" in done.stderr


# --- comparing ------------------------------------------------------------------------------------

def test_verify_finds_every_kind_of_difference(service, tmp_path):
    source = tmp_path / "v"
    source.mkdir()
    for name in ("data", "mode", "time", "size", "gone", "same", "link-a", "type"):
        (source / name).write_text(name * 1000)
    os.link(source / "link-a", source / "link-b")
    os.symlink("here", source / "pointer")
    shoal(service, "cp", "-r", source, "default:/v")
    assert "is the same" in shoal(service, "verify", source, "default:/v")
    keep = os.stat(source / "data")
    (source / "data").write_text("DATA" * 1000)
    os.utime(source / "data", ns=(keep.st_atime_ns, keep.st_mtime_ns))
    (source / "mode").chmod(0o611)
    os.utime(source / "time", ns=(1, 1))
    (source / "size").write_text("short")
    (source / "new").write_text("only here")
    (source / "gone").unlink()
    os.unlink(source / "type")
    os.mkdir(source / "type")
    os.unlink(source / "pointer")
    os.symlink("ther", source / "pointer")
    keep = os.stat(source / "link-a")
    os.unlink(source / "link-b")
    (source / "link-b").write_text("link-a" * 1000)
    os.utime(source / "link-b", ns=(keep.st_atime_ns, keep.st_mtime_ns))
    done = run(service, "verify", source, "default:/v")
    assert done.returncode == 1
    for sentence in ("v/data has other data", "v/mode has mode 0611, the copy 0644", "v/time was modified at 0.000000001",
                     "v/size has 5 bytes, the copy 4000", "v/new is missing in the copy", "v/gone is only in the copy",
                     "v/type is a directory, the copy a file", "v/pointer "):
        assert sentence in done.stderr, done.stderr
    assert re.search(r"v/link-[ab] is a hard link to other files", done.stderr)
    assert "v/same" not in done.stderr


def test_verify_says_where_a_large_file_differs(service, tmp_path):
    data = bytearray(random.Random(SEED).randbytes(9 * MIB))
    path = tmp_path / "large"
    path.write_bytes(data)
    shoal(service, "cp", path, "default:/large")
    times = os.stat(path)
    data[7654321] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert "differs from byte 7654321 on" in run(service, "verify", path, "default:/large").stderr


# --- looking --------------------------------------------------------------------------------------

def test_ls_shows_names_attributes_and_targets(service, tmp_path):
    source = tmp_path / "l"
    (source / "dir").mkdir(parents=True)
    (source / "file").write_text("12345")
    (source / ".hidden").write_text("")
    os.symlink("file", source / "link")
    os.utime(source / "file", ns=(0, 1_000_000_000 * 10**9))
    shoal(service, "cp", "-r", source, "default:/l")
    assert shoal(service, "ls", "default:/l") == "dir\nfile\nlink\n"
    assert shoal(service, "ls", "-a", "default:/l") == ".hidden\ndir\nfile\nlink\n"
    long = shoal(service, "ls", "-l", "default:/l").splitlines()
    assert re.fullmatch(r"-rw-r--r-- 1 +\d+ +\d+ +5 2001-09-0\d \d\d:46:40 file", long[1])
    assert long[0].startswith("drwxr-xr-x 2 ") and long[2].endswith(" link -> file")
    listed = json.loads(shoal(service, "ls", "-aR", "--json", "default:/l"))
    assert [entry["name"] for entry in listed] == [".hidden", "dir", "file", "link"]
    assert listed[3]["target"] == "file" and listed[2]["modified"]["seconds"] == 1_000_000_000
    assert shoal(service, "ls", "default:/l/file") == "file\n"


def test_links_are_followed_inside_the_file_system(service, tmp_path):
    source = tmp_path / "k"
    (source / "dir" / "sub").mkdir(parents=True)
    (source / "dir" / "sub" / "file").write_text("found")
    os.symlink("dir", source / "relative")
    os.symlink("/k/dir/sub", source / "absolute")
    os.symlink("../../relative/sub/../sub/file", source / "dir" / "sub" / "winding")
    os.symlink("circle", source / "circle")
    os.symlink("/etc/hostname", source / "outside")
    shoal(service, "cp", "-r", source, "default:/")
    assert shoal(service, "cat", "default:/k/relative/sub/file", "default:/k/absolute/winding") == "foundfound"
    assert shoal(service, "ls", "default:/k/relative") == "sub\n"
    assert json.loads(shoal(service, "stat", "--json", "default:/k/relative"))[0]["type"] == "symlink"
    assert "circle" in refusal(run(service, "cat", "default:/k/circle"))
    assert "There is no" in refusal(run(service, "cat", "default:/k/outside"))  # not this machine's /etc
    shoal(service, "cp", "default:/k/absolute/file", tmp_path / "through")
    assert (tmp_path / "through").read_text() == "found"
    shoal(service, "rm", "-r", "default:/k/absolute")  # the link, not what it points to
    assert shoal(service, "cat", "default:/k/dir/sub/file") == "found"


def test_stat_shows_all_attributes(service, tmp_path):
    (tmp_path / "s").write_text("abc")
    os.utime(tmp_path / "s", ns=(5, 123456789 * 10**9 + 987654321))
    shoal(service, "cp", tmp_path / "s", "default:/s")
    facts = json.loads(shoal(service, "stat", "--json", "default:/s"))[0]
    assert facts["size_bytes"] == 3 and facts["type"] == "file" and facts["link_count"] == 1
    assert facts["modified"] == {"seconds": 123456789, "nanoseconds": 987654321}
    assert "0644 (-rw-r--r--)" in shoal(service, "stat", "default:/s")
    assert json.loads(shoal(service, "stat", "--json", "default"))[0]["type"] == "directory"


def test_cat_prints_the_bytes(service, tmp_path):
    data = random.Random(SEED).randbytes(20 * MIB + 12345)
    (tmp_path / "c").write_bytes(data)
    (tmp_path / "e").write_bytes(b"")
    shoal(service, "cp", tmp_path / "c", tmp_path / "e", "default:/")
    assert shoal(service, "cat", "default:/c", "default:/e", text=False) == data
    assert "a directory" in refusal(run(service, "cat", "default:/"))


def test_du_sums_up(service, tmp_path):
    source = tmp_path / "u"
    (source / "a" / "b").mkdir(parents=True)
    (source / "a" / "b" / "f").write_bytes(b"x" * 3 * MIB)
    os.link(source / "a" / "b" / "f", source / "a" / "g")
    shoal(service, "cp", "-r", source, "default:/u")
    sums = {row["path"]: row for row in json.loads(shoal(service, "du", "--json", "default:/u"))}
    assert sums.keys() == {"default:/u", "default:/u/a", "default:/u/a/b"}
    assert 3 * MIB <= sums["default:/u"]["space_used_bytes"] < 4 * MIB  # the file with two names once
    assert sums["default:/u"]["entries"] == 5
    assert len(json.loads(shoal(service, "du", "-s", "--json", "default:/u"))) == 1
    assert "3.0 MiB" in shoal(service, "du", "-s", "default:/u")
    # Asked of the server, without walking: files count, not their names.
    rows = json.loads(shoal(service, "du", "-d", "1", "--json", "default:/u"))
    assert [(row["path"], row["entries"]) for row in rows] == [("default:/u/a", 3), ("default:/u", 4)]
    assert rows[1]["space_used_bytes"] == sums["default:/u"]["space_used_bytes"]
    assert json.loads(shoal(service, "du", "-d", "0", "--json", "default:/u"))[0] == rows[1]


# --- making and removing --------------------------------------------------------------------------

def test_mkdir_and_rm(service):
    assert "-p makes it" in refusal(run(service, "mkdir", "default:/m/n/o"))
    shoal(service, "mkdir", "-p", "-m", "0711", "default:/m/n/o")
    assert json.loads(shoal(service, "stat", "--json", "default:/m/n/o"))[0]["mode"] == "0711"
    assert "exists already" in refusal(run(service, "mkdir", "default:/m"))
    shoal(service, "mkdir", "-p", "default:/m")
    assert "-r removes it" in refusal(run(service, "rm", "default:/m"))
    shoal(service, "rm", "-rf", "default:/m", "default:/never-was")
    assert "There is no default:/m" in refusal(run(service, "stat", "default:/m"))
    assert "is the root" in refusal(run(service, "rm", "-r", "default:/"), 2)


def test_who_acts_owns_what_is_made(service):
    def owner(path):
        facts = json.loads(shoal(service, "stat", "--json", path))[0]
        return facts["uid"], facts["gid"]

    shoal(service, "mkdir", "-m", "0777", "default:/own")
    assert owner("default:/own") == (0, 0)  # whoever has the administrator's keys is root there
    shoal(service, "mkdir", "--as", "1234:567", "default:/own/a")
    shoal(service, "mkdir", "--as", "1234", "default:/own/b")
    assert owner("default:/own/a") == (1234, 567) and owner("default:/own/b") == (1234, 1234)
    assert "Permission denied" in refusal(run(service, "mkdir", "--as", "99", "default:/own/a/x"))
    assert "write numbers" in refusal(run(service, "ls", "--as", "root", "default:/"), 2)


def test_wrong_words_get_a_sentence_with_the_right_ones(service):
    shoal(service, "mkdir", "-p", "default:/words/directory")
    assert "did you mean default?" in refusal(run(service, "ls", "defualt:/"))
    assert "did you mean default:/words/directory?" in refusal(run(service, "ls", "default:/words/directroy"))
    assert "did you mean default:/words?" in refusal(run(service, "ls", "default:words"), 2)
    assert refusal(run(service, "cp", "/etc/hostname", "default:/words/a/b/c")) == "shoal: There is no default:/words/a."
    assert "no port" in refusal(run(service, "ls", "127.0.0.1:99999:/"), 2)
    assert "leads out" in refusal(run(service, "ls", "default:/../x"), 2)
    assert "connection refused" in refusal(run(service, "ls", "127.0.0.1:1:/"))
    assert "has no option" in refusal(run(service, "ls", "--jsno", "default:/"), 2)


def test_addresses_work_without_asking_the_service(service):
    target = service.contract["mount_targets"][0]["ip"]
    shoal(service, "mkdir", "-p", "default:/addressed")
    for place in (f"{target}:{service.nfs_port}:/", f"{target}:{service.nfs_port}"):
        assert "addressed" in shoal(service, "ls", place).splitlines()
    name = service.contract["file_system_id"]
    assert "addressed" in shoal(service, "ls", "--server", f"127.0.0.1:{service.nfs_port}", f"{name}:/").splitlines()


# --- faults ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("seed", [SEED, SEED + 1, SEED + 2])
def test_cut_connections_harm_nothing(service, tree, tmp_path, seed):
    target = service.contract["mount_targets"][0]["ip"]
    with CuttingProxy(target, service.nfs_port, seed, 20_000, 4 * MIB) as proxy:
        place = f"127.0.0.1:{proxy.port}:/cut-{seed}"
        assert "is the same" in shoal(service, "cp", "--as", 0, "-r", tree, place), f"seed {seed}"
        shoal(service, "cp", "--as", 0, "-r", place, tmp_path)
        shoal(service, "rm", "--as", 0, "-r", place)
        assert proxy.cuts > 5
    assert_same_tree(tree, tmp_path / f"cut-{seed}")


def test_a_change_happens_once_although_its_reply_is_lost(service):
    target = service.contract["mount_targets"][0]["ip"]
    shoal(service, "mkdir", "default:/once")
    with CuttingProxy(target, service.nfs_port, SEED, 500, 3000) as proxy:
        for i in range(40):  # a second execution would say "exists already", or that there is nothing
            for words in (("mkdir", f"/once/{i}"), ("rm", "-r", f"/once/{i}")):
                shoal(service, *words[:-1], "--as", 0, "--connections", 1, f"127.0.0.1:{proxy.port}:{words[-1]}")
        assert proxy.cuts > 20, proxy.cuts
    assert shoal(service, "ls", "default:/once") == ""


def test_a_killed_server_loses_nothing_of_a_copy(own_server, tmp_path):
    contract = own_server.up()
    rand = random.Random(SEED)
    source = tmp_path / "source"
    for i in range(30):
        os.makedirs(source / f"d{i}")
        for j in range(100):
            (source / f"d{i}" / f"f{j}").write_bytes(rand.randbytes(rand.randrange(9000)))
        (source / f"large{i}").write_bytes(rand.randbytes(6 * MIB + i))
    copier = threading.Thread(target=lambda: results.append(run(own_server, "cp", "-r", source, "default:/copy")))
    results = []
    copier.start()
    for pause_s in (0.3, 0.5, 0.2):
        time.sleep(pause_s)
        if results:
            break
        own_server.kill9()
        own_server.start()
    copier.join(120)
    assert results and results[0].returncode == 0, results
    assert "every byte and attribute is the same" in results[0].stdout
    own_server.kill9()  # and all of it is durable
    own_server.start()
    assert own_server.up()["file_system_id"] == contract["file_system_id"]
    shoal(own_server, "cp", "-r", "default:/copy", tmp_path)
    assert_same_tree(source, tmp_path / "copy")


def test_a_server_that_stays_away_ends_the_command(own_server, tmp_path):
    contract = own_server.up()
    place = f"{contract['mount_targets'][0]['ip']}:{own_server.nfs_port}:/"
    own_server.stop()
    assert "Nothing serves NFS" in refusal(run(own_server, "ls", place))
    assert "No service runs" in refusal(run(own_server, "ls", "default:/"), 3)
