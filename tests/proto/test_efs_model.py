"""Every row of control/actions.def against the service model that the AWS SDKs are made from."""

import pathlib
import re

import botocore.session
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROW = re.compile(r'^ACTION\(\s*(\w+),\s*(\w+),\s*"([^"]+)",\s*(\w+),\s*(\d+),\s*"([^"]+)"', re.MULTILINE)
ERROR_ROW = re.compile(r'^API_ERROR\(\s*(\w+),\s*"([^"]+)",\s*(\d+)', re.MULTILINE)


@pytest.fixture(scope="module")
def model():
    return botocore.session.get_session().get_service_model("efs")


@pytest.fixture(scope="module")
def rows():
    return {row[0]: row for row in ROW.findall((ROOT / "src/control/actions.def").read_text())}


def test_there_is_a_row_for_each_operation(model, rows):
    # UpdateFileSystemProtection came to the model later than some distributions' botocore.
    assert set(rows) - {"UpdateFileSystemProtection"} == \
        set(model.operation_names) - {"UpdateFileSystemProtection"}
    assert len(rows) == 31


def test_each_row_has_the_models_method_path_and_status(model, rows):
    for name in model.operation_names:
        http = model.operation_model(name).http
        _, method, path, _, status, iam_action = rows[name]
        assert (method, path, int(status)) == \
            (http["method"], http["requestUri"], http.get("responseCode", 200)), name
        assert iam_action == f"elasticfilesystem:{name}"


def test_errors_have_the_models_status(model):
    ours = {name: int(status)
            for _, name, status in ERROR_ROW.findall((ROOT / "src/control/errors.def").read_text())}
    checked = 0
    for shape in model.error_shapes:
        status = shape.metadata.get("error", {}).get("httpStatusCode")
        if shape.name in ours and status is not None:
            assert ours[shape.name] == status, shape.name
            checked += 1
    assert checked >= 20


def test_each_handler_that_is_built_is_defined(rows):
    text = "\n".join(path.read_text() for path in (ROOT / "src/control").glob("api_*.c"))
    for name, row in rows.items():
        assert f"const struct api_error *{row[3]}(struct api_call *call)\n{{" in text, name
