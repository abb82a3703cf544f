"""What axe-core says of the page: no violation of WCAG, and none of good practice."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from reports.page import full_page
from tests.conftest import ROOT
from tests.reports.browser import in_browser, shown
from tests.reports.test_page import _page
from verification.records.run_record import RunRecord, TimelineEntry

AXE = ROOT / "tests" / "browser" / "node_modules" / "axe-core" / "axe.min.js"
pytestmark = [
    in_browser,
    pytest.mark.skipif(not AXE.exists(), reason="axe-core is not here: run `npm ci` in tests/browser"),
]
# Whatever it finds goes into an attribute: the document is all that we get back.
_RUN = """
axe.run(document, {resultTypes: ["violations"]}).then(found => {
  const told = found.violations.map(one => one.id + ": " + one.nodes.map(node => node.html.slice(0, 160)).join(" | "));
  document.body.setAttribute("data-axe", JSON.stringify({told, rules: found.passes.length}));
});
"""


def _violations(page: Path, *, dark: bool = False) -> list[str]:
    text = page.read_text(encoding="utf-8")
    if dark:
        assert "(prefers-color-scheme: dark)" in text
        page.write_text(text.replace("(prefers-color-scheme: dark)", "all"), encoding="utf-8")
    document = shown(page, f"{AXE.read_text(encoding='utf-8')}\n{_RUN}", within=20_000)
    found = re.search(r'data-axe="([^"]*)"', document)
    assert found is not None, "axe did not come to its end"
    result = json.loads(found[1].replace("&quot;", '"').replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    assert result["rules"] > 2, "axe has looked at something"
    violations: list[str] = result["told"]
    return violations


@pytest.fixture
def whole(explained: RunRecord) -> RunRecord:
    """A run that has something in every part of the page."""
    rolled_back = explained
    rolled_back.timeline = [
        TimelineEntry(rolled_back.started, "Started."),
        TimelineEntry(rolled_back.started, "login failed", failed=True),
    ]
    rolled_back.not_configured, rolled_back.not_asked = {"sentry_error_rate": "sentry"}, {"search": "left out"}
    rolled_back.notices = ["no rollback document was named"]
    return rolled_back


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_report_can_be_read_by_everybody(whole: RunRecord, tmp_path: Path, dark: bool) -> None:
    assert _violations(_page(tmp_path, whole), dark=dark) == []


def test_a_joined_ticket_can_be_read_by_everybody(whole: RunRecord, tmp_path: Path) -> None:
    page = tmp_path / "ticket.html"
    page.write_text(full_page(whole), encoding="utf-8")
    assert _violations(page) == []


def test_that_test_would_notice(tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text("<!DOCTYPE html><html><body><img src=x><button></button></body></html>", encoding="utf-8")
    assert any(one.startswith("image-alt") for one in _violations(page))
