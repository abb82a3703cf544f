"""The run for a ticket, a CI summary and a terminal."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from reports import summary
from verification.records.run_record import Evidence, EvidencePoint, RollbackOutcome, RunRecord, Standing

_MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
_OURS = {
    "h1",
    "h2",
    "p",
    "blockquote",
    "strong",
    "ul",
    "ol",
    "li",
    "code",
    "pre",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "br",
}


def _tags(markdown: str) -> list[str]:
    return re.findall(r"<(\w+)", _MARKDOWN.render(markdown))


def test_the_verdict_comes_first_then_what_to_do_then_what_failed(rolled_back: RunRecord) -> None:
    next_step = "By hand: gcloud run services list"
    rolled_back.rollback = replace(rolled_back.rollback, outcome=RollbackOutcome.FAILED, next_step=next_step)
    text = summary.markdown(rolled_back)
    assert text.startswith("# ! NO-GO: A person is needed NOW: the rollback failed.\n")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == ["Rollback", "What to do now", "What did not pass", "Run", "Criteria"]
    assert "```sh\ngcloud run services list\n```" in text


def test_each_point_stands_with_its_evidence_and_what_held_it_up(explained: RunRecord) -> None:
    text = summary.markdown(explained)
    assert re.findall(r"^## (.+)$", text, re.MULTILINE)[:2] == ["Rollback", "Why production moved"]
    assert (
        """
1. **The failure is real**: ✓ yes
   - login: asked again: 3 of 3 failed
2. **Going back helps**: ✗ no
   - Guard `previous_no_better`: as bad before
   - Look at both. To roll back all the same:
   - `python -m rollback -e production`
3. **The target was good**: ? not known
   - Target: backend-00042
   - 403
"""
        in text
    )
    items = _MARKDOWN.render(text).partition("<ol>")[2].partition("</ol>")[0]
    assert items.count("<li>") == 9


def test_every_criterion_is_in_the_table_with_value_and_limit(failed: RunRecord) -> None:
    rows = [line for line in summary.markdown(failed).splitlines() if line.startswith(("| ✗", "| ?", "| ✓"))]
    assert len(rows) == 3
    assert all("latency: 812.5 ms (must be \\< 500 ms)" in row for row in rows)


def test_hostile_text_does_nothing_in_markdown(hostile: RunRecord) -> None:
    text = summary.markdown(hostile)
    page = _MARKDOWN.render(text)
    assert set(re.findall(r"<(\w+)", page)) <= _OURS
    assert "onerror=" in page  # it is there to be read
    outside_code = re.sub(r"(?<![\\`])(`+)(?!`).*?(?<!`)\1(?!`)", "", text, flags=re.DOTALL)
    assert "@\N{ZERO WIDTH SPACE}everyone" in outside_code
    assert not re.search(r"@\w|#\d|[^\\]://", outside_code), "nobody is called by name, and nothing becomes a link"


@settings(max_examples=150)
@given(text=st.text(alphabet="\\`*_[]()<>&|~#!-+=:1.@ \nahtps/$w", min_size=1, max_size=40))
def test_no_text_changes_the_structure_of_the_summary(failed: RunRecord, text: str) -> None:
    def tags(filling: str) -> list[str]:
        failed.criteria = [replace(one, title=f"t{filling}", reason=f"r{filling}", hint="") for one in failed.criteria]
        failed.notices, failed.commit = [f"n{filling}"], f"c{filling}"
        known = Evidence(f"l{filling}", f"k{filling}")
        failed.why = (EvidencePoint(f"p{filling}", Standing.FAILS, (known,), f"g{filling}", f"r{filling}"),)
        return _tags(summary.markdown(failed))

    assert tags(text) == tags("")


def test_a_bar_in_a_text_does_not_shift_the_cells_of_a_table(record: RunRecord) -> None:
    record.criteria = [replace(record.criteria[0], title="this | that \\| other")]
    assert "<td>this | that \\| other (basic_health)</td>" in _MARKDOWN.render(summary.markdown(record))


def test_a_step_that_looks_like_a_list_or_a_heading_is_still_a_sentence(failed: RunRecord) -> None:
    failed.rollback = replace(failed.rollback, outcome=RollbackOutcome.FAILED, next_step="- a\n1. b\n# c\n> d\n    e")
    assert _tags(summary.markdown(failed)).count("h1") == 1
    assert "<ol>" not in _MARKDOWN.render(summary.markdown(failed))


def test_the_terminal_says_what_matters_and_where_the_rest_is(rolled_back: RunRecord) -> None:
    lines = summary.terminal(rolled_back, Path("out") / "report.html")
    assert lines[0] == (
        "✗ NO-GO: Rolled back to backend-00042; the service is well again.",
        {"bold": True, "red": True},
    )
    assert [text for text, _ in lines[1:]] == [
        "3 of 3 criteria ran: 1 fail, 1 inconclusive, 1 pass",
        "  ✗ login: login status is 500, expected 200",
        "      Read the log:",
        "      gcloud logging read x",
        "  ? sentry_error_rate: Sentry answered 500",
        "      Ask Sentry:",
        "      curl -I https://s.example",
        "Rollback: Traffic moved from backend-00043 to backend-00042 through cloud_run in 2.1 s. Verified: the service is well.",
        f"Report: {Path('out') / 'report.html'}",
    ]


def test_a_good_run_takes_three_lines_of_the_terminal(record: RunRecord) -> None:
    lines = summary.terminal(record, Path("report.html"))
    assert [text for text, _ in lines] == [
        "✓ GO: All 2 criteria pass.",
        "2 of 2 criteria ran: 2 pass",
        "Report: report.html",
    ]


def test_hostile_text_cannot_steer_the_terminal(hostile: RunRecord) -> None:
    lines = summary.terminal(hostile)
    assert any("<script>" in text for text, _ in lines)
    assert not any(re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e]", text) for text, _ in lines)


def test_no_secret_gets_into_either(failed: RunRecord, secret: str) -> None:
    failed.criteria[-1] = replace(failed.criteria[-1], reason=f"got {secret}", hint=f"curl https://x?token={secret}")
    failed.notices = [secret]
    failed.why = (EvidencePoint("x", Standing.FAILS, (Evidence(secret, secret),), secret, secret, f"`curl {secret}`"),)
    assert secret not in summary.markdown(failed)
    assert not any(secret in text for text, _ in summary.terminal(failed))


@pytest.mark.parametrize("outcome", list(RollbackOutcome))
def test_every_outcome_of_a_rollback_can_be_told(failed: RunRecord, outcome: RollbackOutcome) -> None:
    failed.rollback = replace(failed.rollback, outcome=outcome, reason="because of it", next_step="gcloud run x")
    told = f"{summary.markdown(failed)}{summary.terminal(failed)}"
    assert told.count("because of it") == 2
    assert told.count("gcloud run x") == 2
