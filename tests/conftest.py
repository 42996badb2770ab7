"""Fixtures for every Python test: a server per module, and its log beside a failure."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))

import shoal_server  # noqa: E402 (needs the path above)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the end of the daemon's log with every test that failed."""
    outcome = yield
    report = outcome.get_result()
    if not report.failed:
        return
    for name, value in getattr(item, "funcargs", {}).items():
        if isinstance(value, shoal_server.Server):
            report.sections.append((f"shoald log of fixture {name}", value.log()))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A fresh shoald for the tests of one module."""
    with shoal_server.Server(tmp_path_factory.mktemp("shoal")) as running:
        yield running


@pytest.fixture
def own_server(tmp_path):
    """A fresh shoald for one test, that stops or kills it."""
    with shoal_server.Server(tmp_path / "shoal") as running:
        yield running
