"""Files hold what was written: by fio with verification, by fsx, and in the cases programs rely on."""

import pytest
import shoal_server

EFS_FILE_SIZE_MAX = 52_673_613_135_872  # 47.9 TiB


@pytest.mark.parametrize("scenario", ["truncation", "unlinked_but_open", "mapping", "replaced_while_open",
                                      "appends_by_two_processes"])
def test_files_behave_as_on_a_local_file_system(client, work, scenario):
    client.call(f"data.{scenario}", work)


def test_a_sparse_file_may_be_as_large_as_on_efs(client, work, server):
    client.call("data.sparse_file", work, size_max=EFS_FILE_SIZE_MAX)


def test_a_large_file_is_read_back_exactly(client, work):
    client.call("data.large_file", work, size_mib=96)


def test_small_files_of_every_size_are_read_back_exactly(client, work):
    client.call("data.many_small_files", work, count=600)


@pytest.mark.parametrize("options", [
    "--rw=randrw --bs=4k --direct=0 --fsync=16 --size=8m",
    "--rw=randrw --bs=4k --direct=1 --size=4m --numjobs=2",
    "--rw=randwrite --bsrange=512-64k --bs_unaligned --direct=0 --size=16m",
    "--rw=write --bs=1m --direct=1 --size=64m",
    "--rw=randrw --bs=128k --direct=0 --fdatasync=8 --size=32m",
    "--rw=randwrite --bs=16k --direct=0 --sync=1 --size=4m",
], ids=lambda options: options.replace("--", "").replace(" ", ","))
def test_fio_verifies_what_it_wrote(client, work, options):
    _, out, _ = client.run(
        "fio", "--name=verify", f"--directory={work}", "--ioengine=psync", "--verify=crc32c",
        "--verify_fatal=1", "--do_verify=1", "--randseed=7", "--group_reporting", *options.split())
    assert "err= 0" in out, out


@pytest.mark.parametrize("arguments", [
    "-s 1 -n 1500", "-s 2 -n 1500 -l 70000 -o 9000", "-s 3 -n 600 -d", "-s 4 -n 400 -l 33554432 -o 1048576",
])
def test_fsx_finds_no_difference(client, work, arguments):
    fsx = shoal_server.find_program("fsx")
    status, out, err = client.run(fsx, *arguments.split(), f"{work}/fsx", check=False)
    assert status == 0, f"{out}{err}"
