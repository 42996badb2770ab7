"""The files of examples/compose: read as Compose reads them, and held against what they promise."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest
import yaml
from compose_files import FILES, FOLDER, filled, loaded, nfs_volumes, settings
from shoal_server import SOURCE_ROOT, find_program

REFERENCE = "addr=${EFS_DNS_NAME},nfsvers=4.1,rsize=1048576,wsize=1048576,hard,timeo=600,retrans=2"


def test_the_three_files_are_there():
    assert [path.name for path in FILES] == ["all-in-one.yml", "cloud.yml", "production.yml"]


def test_the_cloud_file_has_the_volumes_and_lines_that_it_is_known_for():
    volumes = nfs_volumes(FOLDER / "cloud.yml")
    assert set(volumes) == {"efs-shared-data", "efs-model-cache"}
    assert all(volume["o"] == REFERENCE for volume in volumes.values())
    services = loaded(FOLDER / "cloud.yml")["services"]
    assert services["ray-worker"]["depends_on"]["ray-head"]["condition"] == "service_healthy"
    assert "replicas" in services["ray-worker"]["deploy"]


def test_the_production_file_separates_data_models_and_logs():
    document = loaded(FOLDER / "production.yml")
    assert set(nfs_volumes(FOLDER / "production.yml")) == {"data", "models", "logs"}
    assert "healthcheck" in document["services"]["monitor"] and "connector" in document["services"]


def test_the_monitor_asks_for_the_health_of_all_three(tmp_path):
    service = loaded(FOLDER / "production.yml")["services"]["monitor"]
    words = service["healthcheck"]["test"][1:]
    for volume in service["volumes"]:
        place = volume.split(":")[1]
        (tmp_path / place.lstrip("/")).mkdir(parents=True)
        words = [str(tmp_path / place.lstrip("/")) if word == place else word for word in words]
    assert sum(word.startswith(str(tmp_path)) for word in words) == 3
    program = [str(find_program(words[0])), *words[1:]]
    refused = subprocess.run(program, capture_output=True, text=True)
    assert refused.returncode != 0 and refused.returncode != 2, "these are no mounts"
    program.remove("--require-mount")
    fit = subprocess.run(program, capture_output=True, text=True)
    assert fit.returncode == 0, fit.stdout + fit.stderr


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_volume_and_dependency_is_defined_and_every_service_comes_back(path):
    document = loaded(path)
    for name, service in document["services"].items():
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in document["volumes"], f"{name}: {volume}"
        for other in service.get("depends_on", {}):
            assert other in document["services"]
        assert service["restart"] in ("always", "unless-stopped") or name == "prepare"
    for options in nfs_volumes(path).values():
        assert options["type"] == "nfs" and options["device"].startswith(":/")
        assert options["o"].startswith("addr=${EFS_DNS_NAME") and ",hard," in options["o"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_setting_has_a_value_and_every_value_is_used(path):
    text = path.read_text()
    filled("\n".join(line for line in text.splitlines() if not line.strip().startswith("#")), settings(path))
    for name in settings(path):
        assert f"${{{name}" in text, f"{name} of {path.stem}.env is used nowhere"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_compose_takes_the_file(path, tmp_path):
    """Debian's docker-compose (1.29) without an engine; it does not know the newer `name:` yet."""
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("docker-compose is not installed")
    copy = tmp_path / path.name
    copy.write_text(re.sub(r"^name:.*\n", "", path.read_text(), flags=re.M))
    shutil.copy(path.with_suffix(".env"), tmp_path / ".env")
    done = subprocess.run([program, "-f", copy, "config"], capture_output=True, text=True, cwd=tmp_path,
                          env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    shown = yaml.safe_load(done.stdout)
    for name, options in nfs_volumes(path).items():
        assert shown["volumes"][name]["driver_opts"]["o"] == filled(options["o"], settings(path))


def test_the_image_is_not_root_and_says_how_it_is():
    text = (SOURCE_ROOT / "packaging/oci/Containerfile").read_text()
    assert re.search(r"^USER shoal$", text, re.M) and re.search(r"^HEALTHCHECK .*\bshoal\b.*status", text, re.M)
    assert re.search(r"^VOLUME /var/lib/shoal$", text, re.M)
    for source in re.findall(r"packaging/[\w.-]+|tools/[\w.-]+", text):
        assert pathlib.Path(SOURCE_ROOT / source).exists()
