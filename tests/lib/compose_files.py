"""The files of examples/compose as Compose reads them; for tests/proto/test_compose.py and tests/e2e/test_compose_volumes.py."""

import re

import yaml
from shoal_server import SOURCE_ROOT

FOLDER = SOURCE_ROOT / "examples/compose"
FILES = sorted(FOLDER.glob("*.yml"))


def settings(path):
    lines = path.with_suffix(".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def loaded(path):
    return yaml.safe_load(path.read_text())


def filled(text, values):
    """As Compose fills in ${NAME}, ${NAME:-default} and $$."""
    def value(match):
        if match[0] == "$$":
            return "$"
        name, _, default = match[1].partition(":-")
        assert name in values or default, f"{match[0]} has no value in the .env file"
        return values.get(name) or default
    return re.sub(r"\$\$|\$\{([^}]+)\}", value, text)


def nfs_volumes(path):
    return {name: volume["driver_opts"] for name, volume in loaded(path)["volumes"].items()
            if volume and "driver_opts" in volume}
