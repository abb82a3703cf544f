"""The page: what pytest-html makes of our hooks, as a browser shows it."""

from __future__ import annotations

import html as html_entities
import pickle
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest

from reports.page import banner_html, environment_table, finish_page, full_page, page_title, table_row
from tests.reports.browser import in_browser, shown
from verification.records.run_record import Evidence, EvidencePoint, RollbackOutcome, RunRecord, Standing

ROOT = Path(__file__).parents[2]

# Each criterion of the record becomes a test with the outcome that pytest would give it; and two tests are no criteria.
CONFTEST = """
    import pickle
    from pathlib import Path

    import pytest
    from pytest_metadata.plugin import metadata_key

    from reports.page import banner_html, full_page, environment_table, finish_page, page_title, table_header, table_row

    RECORD = pickle.loads(Path(__file__).with_name("record.pickle").read_bytes())
    RESULTS = {f"test_page.py::test_criterion[{number}]": one for number, one in enumerate(RECORD.criteria)}

    def pytest_generate_tests(metafunc):
        if "number" in metafunc.fixturenames:
            metafunc.parametrize("number", range(len(RECORD.criteria)), indirect=True, ids=str)

    @pytest.fixture
    def number(request):
        if RECORD.criteria[request.param].verdict == "inconclusive":
            raise RuntimeError("an observer was down")
        return request.param

    @pytest.fixture
    def breaks_afterwards():
        yield
        raise RuntimeError("teardown")

    def pytest_configure(config):
        kept = environment_table(config.stash[metadata_key] | {"Platform": RECORD.service, "BRANCH": RECORD.service})
        config.stash[metadata_key].clear()
        config.stash[metadata_key].update(kept)

    def pytest_html_report_title(report):
        report.title = page_title(RECORD)

    def pytest_html_results_table_header(cells):
        table_header(cells)

    def pytest_html_results_table_row(report, cells):
        table_row(report, RESULTS.get(report.nodeid), cells)

    def pytest_html_results_summary(prefix):
        prefix.append(banner_html(RECORD))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(item, call):
        report = yield
        report.extras = [{"name": RECORD.service, "format_type": "url", "content": address, "mime_type": None, "extension": "url"}
                         for address in ("javascript:alert(1)", f"https://x.example/{RECORD.service}")]
        return report
"""
TESTS = """
    from conftest import RECORD

    def test_criterion(number):
        assert RECORD.criteria[number].verdict == "pass", RECORD.service

    def test_that_is_no_criterion(breaks_afterwards):
        pass
"""


def _page(folder: Path, record: RunRecord) -> Path:
    """Let pytest-html write the page of `record`."""
    (folder / "record.pickle").write_bytes(pickle.dumps(record))
    (folder / "conftest.py").write_text(dedent(CONFTEST), encoding="utf-8")
    (folder / "test_page.py").write_text(dedent(TESTS), encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\ninitial_sort = verdict\nrender_collapsed = all\n", encoding="utf-8")
    options = ["-q", "-p", "no:cacheprovider", "--html=report.html", "--self-contained-html"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode in {0, 1}, run.stdout + run.stderr
    page = folder / "report.html"
    page.write_text(finish_page(page.read_text(encoding="utf-8")), encoding="utf-8")
    return page


@in_browser
def test_no_hostile_text_runs_in_a_browser(hostile: RunRecord, tmp_path: Path) -> None:
    handlers = (
        "[...document.querySelectorAll('[onmouseover], [onerror], [onload]')].map(one => one.outerHTML).join(' ')"
    )
    document = shown(_page(tmp_path, hostile), f"document.body.setAttribute('data-handlers', {handlers})")
    assert 'data-handlers=""' in document
    assert "data-ran" not in re.match(r".*?<html[^>]*>", document, re.DOTALL)[0]  # type: ignore[index]
    assert document.count("&lt;script&gt;") > 20  # it is there, to be read
    assert not re.search(r'href="\s*javascript:', document)
    assert 'href="https://x.example/' in document


@in_browser
def test_that_test_would_notice(hostile: RunRecord, tmp_path: Path) -> None:
    page = tmp_path / "unescaped.html"
    page.write_text(f"<!DOCTYPE html><html><body>{hostile.service}</body></html>", encoding="utf-8")
    assert "data-ran" in shown(page)


@in_browser
def test_a_killed_run_s_page_is_as_safe(hostile: RunRecord, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(full_page(replace(hostile, finished=None)), encoding="utf-8")
    document = shown(page)
    assert "<html lang" in document
    assert "data-ran" not in re.match(r".*?<html[^>]*>", document, re.DOTALL)[0]  # type: ignore[index]


@in_browser
def test_rows_can_be_sorted_chosen_and_opened(failed: RunRecord, tmp_path: Path) -> None:
    failed.criteria = [
        replace(one, seconds=seconds) for one, seconds in zip(failed.criteria, (0.9, 0.5, 0.1), strict=True)
    ]
    script = """
        const rows = () => [...document.querySelectorAll('.results-table-row')].filter(row => row.offsetHeight);
        const order = () => rows().map(row => row.id).filter(id => !id.includes('::')).join(' ');
        const click = selector => document.querySelector(selector).click();
        const say = (what, text) => document.body.setAttribute('data-' + what, text);
        say('first', order());
        click('[data-column-type=testId]'); say('name', order());
        click('[data-column-type=duration]'); say('seconds', order());
        click('[data-column-type=duration]'); say('slowest', order());
        click('.show-pass'); say('chosen', order());
        const logs = () => rows().filter(row => !row.querySelector('.extras-row').classList.contains('hidden'));
        say('closed', logs().length);
        click('#login .col-verdict'); say('opened', logs().map(row => row.id).join(' '));
    """
    document = shown(_page(tmp_path, failed), script)
    assert dict(re.findall(r'data-(\w+)="([^"]*)"', document[document.index("<body") :].split(">")[0])) == {
        "first": "login sentry_error_rate basic_health",
        "name": "basic_health login sentry_error_rate",
        "seconds": "login sentry_error_rate basic_health",
        "slowest": "basic_health sentry_error_rate login",
        "chosen": "sentry_error_rate login",
        "closed": "0",
        "opened": "login",
    }


def test_the_verdict_is_read_where_pytest_has_another_word(failed: RunRecord, tmp_path: Path) -> None:
    text = html_entities.unescape(_page(tmp_path, failed).read_text(encoding="utf-8"))
    row = re.search(r"Error</td>.{0,200}?\? inconclusive</span>", text)
    assert row is not None
    assert "It could not clean up after itself. See its log." in text


def test_the_page_needs_nothing_from_elsewhere(rolled_back: RunRecord, tmp_path: Path) -> None:
    text = _page(tmp_path, rolled_back).read_text(encoding="utf-8")
    assert not re.search(r"<(?:link|img|script)[^>]+(?:src|href)=[\"']?(?!\")\S", text)
    assert not re.search(r"@import|url\(", text)


def test_the_banner_alone_tells_it_all(rolled_back: RunRecord) -> None:
    rolled_back.rollback = replace(rolled_back.rollback, outcome=RollbackOutcome.FAILED, next_step="Now: gcloud run x")
    rolled_back.dry_run = True
    rolled_back.notices = ["no rollback document was named"]
    text = html_entities.unescape(re.sub(r"<style>.*?</style>|<[^>]+>", "", banner_html(rolled_back), flags=re.DOTALL))
    for said in (
        *(
            "NO-GO",
            "A person is needed NOW: the rollback failed.",
            "gcloud run x",
            "DRY RUN",
            "no rollback document was named",
        ),
        *("production", "Bayit+", "https://api.example", "backend-00043 (previous: backend-00042)", "4f9c2ab"),
        *(
            "2026-11-23 10:15:00 UTC",
            "15 min 12 s",
            "3 of 3 criteria ran: 1 fail, 1 inconclusive, 1 pass",
            "The line of login.",
        ),
        *("login status is 500, expected 200", "health status: 200 (must be 200)"),
    ):
        assert said in text, said


def test_each_point_of_a_rollback_stands_with_its_evidence_and_what_held_it_up(explained: RunRecord) -> None:
    for page in (banner_html(explained), full_page(explained)):
        section = re.search(r'<section class="why-moved".*?</section>', page, re.DOTALL)
        assert section is not None
        points = re.findall(r"<li.*?</li>", section[0], re.DOTALL)
        said = [" ".join(html_entities.unescape(re.sub(r"<[^>]+>", " ", point)).split()) for point in points]
        assert said == [
            "1. The failure is real: ✓ yes login asked again: 3 of 3 failed",
            (
                "2. Going back helps: ✗ no Guard previous_no_better : as bad before Look at both. "
                "To roll back all the same: python -m rollback -e production"
            ),
            "3. The target was good: ? not known Target backend-00042 403",
        ]
        assert "Why production moved</h2>" in section[0]
        assert '<a href="#login">login</a>' in points[0]
        assert '<pre class="command" tabindex="0"><code>python -m rollback -e production</code></pre>' in points[1]


def test_a_run_that_had_nothing_to_move_explains_nothing(record: RunRecord) -> None:
    assert "why-heading" not in banner_html(record)


def test_values_of_one_answer_say_once_where_they_come_from(record: RunRecord) -> None:
    first = record.criteria[0].measurements[0]
    values = (first, replace(first, name="second"), replace(first, name="third", source="elsewhere"))
    cells = ['<td class="col-result">Passed</td>']
    report = pytest.TestReport("x", ("", 0, ""), {}, "passed", None, "call")
    table_row(report, replace(record.criteria[0], measurements=values), cells)
    row = "".join(cells)
    assert row.count("9120 samples over 15m") == 2
    assert row.count("812.5 ms") == 3


def test_a_reader_without_scripts_sees_each_verdict(failed: RunRecord) -> None:
    without = re.search(r"<noscript>(.*)</noscript>", banner_html(failed))
    assert without is not None
    assert without[1].count("<li>") == 3


def test_no_secret_gets_into_the_page(rolled_back: RunRecord, secret: str) -> None:
    result = replace(rolled_back.criteria[-1], title=secret, reason=f"got {secret}", hint=f"curl -u me:{secret} x")
    rolled_back.criteria = [result]
    rolled_back.notices = [secret]
    rolled_back.why = (
        EvidencePoint("x", Standing.FAILS, (Evidence(secret, secret),), secret, secret, f"`curl {secret}`"),
    )
    rolled_back.target = f"https://me:{secret}@api.example"
    cells = ['<td class="col-result">Failed</td>']
    table_row(pytest.TestReport(secret, ("", 0, ""), {}, "failed", secret, "call"), result, cells)
    for text in (full_page(rolled_back), "".join(cells)):
        assert "[redacted]" in text
        assert secret not in text


def test_the_title_holds_the_verdict_once_there_is_one(record: RunRecord) -> None:
    assert page_title(record) == "GO · Bayit+, production: smoke, monitor"
    record.finished = None
    assert page_title(record) == "Bayit+, production: smoke, monitor"


def test_of_the_environment_only_what_helps_a_reader_is_kept() -> None:
    kept = environment_table(
        {"Python": "3.11.2", "GITHUB_HEAD_REF": "<img src=x>", "Plugins": {"html": "4.2"}, "Platform": "<b>"}
    )
    assert kept == {"Python": "3.11.2", "Platform": "&lt;b&gt;"}
