"""`[checkout]`, `[code]` and `[release]`: slips are found before anything runs."""

from __future__ import annotations

import tomllib

import pytest
from pydantic import ValidationError

from verification.settings.checkout import CheckoutFolder, Code, Release

BAYIT = """
[checkout]
path = "../Bayit-Plus"

[code]
directory = "backend"
tests = "poetry run pytest tests/ -v --cov=app --cov-report=xml"
coverage = "coverage.xml"
quality = { tox = "poetry run tox" }
within = "30m"

[code.placeholders]
paths = ["backend/app"]
allowed = ["backend/app/demo/**"]

[release]
changelog = "CHANGELOG.md"
openapi = "backend/openapi.json"
migrations = ["backend/migrations/**"]
"""


def test_the_checklists_own_commands_are_settings() -> None:
    tree = tomllib.loads(BAYIT)
    CheckoutFolder.model_validate(tree["checkout"])
    Release.model_validate(tree["release"])
    code = Code.model_validate(tree["code"])
    assert code.tests == ("poetry", "run", "pytest", "tests/", "-v", "--cov=app", "--cov-report=xml")
    assert code.quality == {"tox": ("poetry", "run", "tox")}
    assert code.placeholders is not None
    assert code.placeholders.words == ["TODO", "FIXME", "MOCK", "STUB"]


@pytest.mark.parametrize("command", ["sh -c 'a b'", ["sh", "-c", "a b"]])
def test_a_command_is_a_line_or_its_words(command: object) -> None:
    assert Code.model_validate({"tests": command}).tests == ("sh", "-c", "a b")


@pytest.mark.parametrize(
    "command", ["", "  ", [], [""], 7, "pytest 'unended", "cd backend && pytest", "pytest | tee x"]
)
def test_a_command_that_would_need_a_shell_or_is_none_is_refused(command: object) -> None:
    with pytest.raises(ValidationError):
        Code.model_validate({"tests": command})


@pytest.mark.parametrize(
    "slip",
    [
        {"directory": "/elsewhere"},
        {"directory": "../elsewhere"},
        {"coverage": "coverage.xml"},
        {"junit": "junit.xml"},
        {"quality": {}},
        {"within": "0s"},
        {"placeholders": {"paths": []}},
        {"placeholders": {"paths": ["app"], "words": ["TO.DO"]}},
        {"placeholders": {"paths": ["../app"]}},
        {"test": "pytest"},
    ],
)
def test_a_slip_is_refused(slip: object) -> None:
    with pytest.raises(ValidationError):
        Code.model_validate(slip)
