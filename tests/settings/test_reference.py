"""docs/settings.md says what the models say."""

from __future__ import annotations

import tomllib

from tests.conftest import ROOT
from verification.settings.reference import DOCUMENT, document


def test_the_settings_reference_is_up_to_date() -> None:
    stale = "docs/settings.md is stale: run `python -m verification.settings.reference`"
    assert DOCUMENT.read_text(encoding="utf-8") == document(), stale


def test_every_table_of_the_shipped_file_is_in_it() -> None:
    shipped = tomllib.loads((ROOT / "deployment.toml").read_text(encoding="utf-8"))
    text = document()
    assert len(shipped) > 10
    assert [name for name in shipped if name != "environments" and f"## `[{name}]`" not in text] == []
