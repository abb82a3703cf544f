"""`--sign-off LINE=NAME`: what is a name and what is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import ROOT
from verification.criteria.sign_off import read_sign_offs
from verification.errors import SettingsError
from verification.settings.loading import load


def test_names_by_line_the_last_one_counts() -> None:
    given = ["costs = Noa Levi", "user_feedback_reviewed=אבי", "costs=Avi=Cohen"]
    assert read_sign_offs(given) == {"costs": "Avi=Cohen", "user_feedback_reviewed": "אבי"}


@pytest.mark.parametrize(
    "text",
    ["", "costs", "costs=", "costs=  ", "=Noa", "a b=Noa", "costs=N\x1b[31moa", "costs=N\noa", "costs=\u202eaoN"],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="--sign-off"):
        read_sign_offs([text])


def test_a_name_is_no_letter() -> None:
    with pytest.raises(SettingsError, match="longer than 100"):
        read_sign_offs(["costs=" + "x" * 101])


def test_nobody_signs_for_people_outside_of_the_sandbox(tmp_path: Path) -> None:
    text = (ROOT / "deployment.toml").read_text(encoding="utf-8")
    file = tmp_path / "deployment.toml"
    file.write_text(
        text.replace('second_watch = "15m"', 'signed_off_by = "CI"\nsecond_watch = "15m"'), encoding="utf-8"
    )
    with pytest.raises(SettingsError, match="signed_off_by is for the sandbox"):
        load(file, "sandbox", {"GOOGLE_CLOUD_PROJECT": "p"})
