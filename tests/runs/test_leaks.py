"""A run in which everything fails, everybody repeats the secrets they were told, and adds markup: nothing gets out."""

from __future__ import annotations

import base64
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from tests.clients.hostile import Conversation, hostile
from tests.reports.browser import in_browser, shown
from tests.runs.conftest import SHIPPED, Ran, Runner

# Each holds what some disguise changes.
NAMES = (
    "SMOKE_USER_PASSWORD", "SLACK_BOT_TOKEN", "GITHUB_TOKEN", "SENTRY_AUTH_TOKEN", "PAGERDUTY_TOKEN", "JIRA_API_TOKEN",
    "TEAM_SECRET",
)  # fmt: skip
CANARIES = {name: f"c4nary/{number}+'&\"<of-{name.lower()}" for number, name in enumerate(NAMES)}
# A token goes into a header, so it is of fewer characters.
CANARIES |= {name: f"c4nary.{number}-{name.lower()}=" for number, name in enumerate(NAMES) if name.endswith("TOKEN")}
IN_ADDRESS = "c4nary-in-an-address"
# Nobody registered these: they are known by their shape.
SIGNED = (
    "https://cdn.example/a.m3u8?hdnts=exp=1~acl=/*~hmac=c4nary-of-a-signature https://cdn.example/a?auth=c4nary&sig=c4nary "
    'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c4nary-of-a-jwt {"token":"c4nary-in-json"} Set-Cookie: sid=c4nary-of-a-session'
)
RAN = "document.documentElement.setAttribute('data-ran', '1')"
MARKUP = (
    f'<x-injected></x-injected><img src="http://evil.example/i" onerror="{RAN}"><script>{RAN}</script>'
    '</td></table></style></script><link rel=stylesheet href="http://evil.example/c"><svg onload="' + RAN + '">'
    '<iframe src="http://evil.example/f"></iframe><form action="http://evil.example/"><base href="http://evil.example/">'
)
TEAM = '''
    import logging, os, sys, warnings

    SECRETS = [os.environ[name] for name in ("TEAM_SECRET", "GITHUB_TOKEN", "SLACK_BOT_TOKEN")]
    MARKUP = os.environ["MARKUP"]
    SIGNED = os.environ["SIGNED"]

    def tell():
        print(SIGNED)
        print(SIGNED, file=sys.stderr)
        logging.getLogger("team").error("told %s", SIGNED)
        warnings.warn(f"warned of {SIGNED}")
        for secret in SECRETS:
            print(secret, MARKUP)
            print(secret, file=sys.stderr)
            logging.getLogger("team").error("told %s", secret)
            warnings.warn(f"warned of {secret}")

    @pytest.mark.pre
    def test_that_breaks_before():
        """It breaks."""
        test_that_breaks()

    @pytest.mark.smoke
    def test_that_breaks():
        """It breaks."""
        tell()
        try:
            raise ValueError(SECRETS[0])
        except ValueError as error:
            raise RuntimeError(f"{SECRETS[1]} at https://me:c4nary-in-an-address@host/ {MARKUP} {SIGNED}") from error

    @pytest.mark.smoke
    def test_that_fails():
        """It fails."""
        assert SIGNED != SIGNED + "", {"said": SIGNED, "items": [SIGNED]}

    @pytest.mark.smoke
    def test_that_differs():
        """It differs."""
        assert {"token": SECRETS[0], "markup": MARKUP} == {"token": SECRETS[1], "list": SECRETS}

    @pytest.mark.smoke
    def test_that_is_skipped():
        """It is skipped."""
        pytest.skip(f"{SECRETS[2]} {MARKUP}")

    @pytest.fixture
    def broken():
        yield
        raise RuntimeError(f"{SECRETS} {MARKUP}")

    @pytest.mark.smoke
    def test_that_cannot_clean_up(broken):
        """It cannot clean up."""
        tell()
'''


def _parrot(talk: Conversation) -> None:
    """Says everything that it was told, in every way, with markup around it."""
    told = talk.request
    raw = told.encode("utf-8", "surrogateescape")
    body = "\n".join(
        [
            SIGNED,
            MARKUP,
            told,
            quote(told),
            quote_plus(told),
            base64.b64encode(raw).decode(),
            json.dumps(told),
            escape(told),
        ]
    )
    header = re.sub(r"[^\x20-\x7e]", " ", f"{MARKUP} {told}")[:4000]
    talk.answer(
        body.encode(),
        f"500 {header[:200]}",
        "Set-Cookie: sid=c4nary-of-a-session",
        f"X-Said: {header}",
        f"Location: http://evil.example/{header}",
    )


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ran, Ran, Path]:
    """Two phases of it; the runs, and the folder that holds all they wrote."""
    folder = tmp_path_factory.mktemp("leaks")
    with hostile(_parrot) as there:
        (folder / "deployment.toml").write_text(_deployment(there.url), encoding="utf-8")
        (folder / "team").mkdir()
        (folder / "team" / "test_team.py").write_text(f"import pytest\n{_dedented(TEAM)}", encoding="utf-8")
        runner = Runner(folder)
        variables = {
            **CANARIES, "SMOKE_USER_EMAIL": "smoke@bayit.plus", "JIRA_EMAIL": "me@bayit.plus", "MARKUP": MARKUP, "SIGNED": SIGNED,
            "GOOGLE_CLOUD_PROJECT": "somewhere", "GITHUB_REPOSITORY": "bayit-plus/Bayit-Plus",
            "GITHUB_STEP_SUMMARY": str(folder / "step.md"), "MONGODB_URL": f"mongodb://me:{IN_ADDRESS}@127.0.0.1:9/db",
        }  # fmt: skip
        options = ("--env", "production", f"--deployment={folder / 'deployment.toml'}", "-v", "-rA")
        tickets = ("--ticket=github:1", "--ticket=jira:OPS-1", "--ticket=slack", "--ticket=github-release:v1")
        smoke = runner("-m", "smoke", *options, *tickets, variables=variables)
        pre = runner("-m", "pre", *options, "--commit", "abc", variables=variables)
    return smoke, pre, folder


def _deployment(url: str) -> str:
    run = f'service = "bayit-plus-backend"\nendpoint = "{url}"\nmonitoring = "{url.partition("://")[2]}"\n'
    text = SHIPPED.replace("https://api.bayit.plus", url).replace('service = "bayit-plus-backend"\n', run)
    text = text.replace("https://sentry.io", url).replace("[slack]\n", f'[slack]\nurl = "{url}"\n')
    text = text.replace("[github]\n", f'[github]\nurl = "{url}"\n').replace(
        'retry_after = "30s"', 'retry_after = "100ms"'
    )
    text = text.replace("pagerduty = { ", f'pagerduty = {{ url = "{url}", ').replace(
        'evidence_grace = "5s"', 'evidence_grace = "0s"'
    )
    text = text.replace('shift_within = "2m"', 'shift_within = "2s"').replace(
        'verify_within = "3m"', 'verify_within = "2s"'
    )
    text = text.replace('control_within = "20s"', 'control_within = "2s"').replace('timeout = "10s"', 'timeout = "1s"')
    assert text.count(url) == 7
    return f'{text}\n[jira]\nurl = "{url}"\n[criteria]\npaths = ["team"]\n'


def _dedented(source: str) -> str:
    return "\n".join(line.removeprefix("    ") for line in source.splitlines())


def _disguises(secret: str) -> dict[str, str]:
    raw = secret.encode()
    inner = {f"base64 at {at}": base64.b64encode(b"\0" * at + raw)[4 * bool(at) : -4].decode() for at in range(3)}
    return {
        "itself": secret, "url": quote(secret, safe=""), "path": quote(secret), "form": quote_plus(secret),
        "json": json.dumps(secret)[1:-1], "html": escape(secret), "repr": repr(secret)[1:-1], **inner,
    }  # fmt: skip


def test_everything_failed_and_was_told(failed: tuple[Ran, Ran, Path]) -> None:
    smoke, pre, folder = failed
    assert smoke.verdict.verdict == "fail", smoke.said
    assert {one.verdict for one in smoke.verdict.criteria} == {"fail", "inconclusive"}
    assert {one.verdict for one in pre.verdict.criteria} <= {"fail", "inconclusive", "pass"}
    assert smoke.said.count("[redacted]") > 5
    assert smoke.report.count("hdnts=[redacted]") > 3
    assert "x-injected" in smoke.report, "the markup is there, to be read"
    assert [one["state"] for one in json.loads((smoke.folder / "ticket.json").read_text())["tickets"]] == ["queued"] * 4
    assert "Send it later" in smoke.said
    assert (folder / "step.md").read_text(encoding="utf-8").count("NO-GO: ") == 2


def test_no_secret_is_in_any_file_or_line(failed: tuple[Ran, Ran, Path]) -> None:
    smoke, pre, folder = failed
    said = {"terminal of smoke": smoke.said, "terminal of pre": pre.said}
    files = [file for file in folder.rglob("*") if file.is_file() and "team" not in file.parts]
    assert len(files) > 12
    said |= {str(file.relative_to(folder)): file.read_text(encoding="utf-8", errors="replace") for file in files}
    leaks = [
        f"{place}: {name} as {disguise}"
        for place, text in said.items()
        for name, secret in {**CANARIES, "IN_ADDRESS": IN_ADDRESS}.items()
        for disguise, form in _disguises(secret).items()
        if form in text
    ]
    assert leaks == []
    assert [place for place, text in said.items() if re.search("c4n", text)] == [], "not even a part"


@contextmanager
def _ear() -> Iterator[tuple[int, list[str]]]:
    """A port that notes who connects."""
    heard: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        over = threading.Event()

        def listen() -> None:
            while not over.is_set():
                try:
                    connection, address = server.accept()
                except TimeoutError:
                    continue
                heard.append(str(address))
                connection.close()

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield server.getsockname()[1], heard
        finally:
            over.set()
            thread.join()


@in_browser
@pytest.mark.parametrize("which", [0, 1], ids=["smoke", "pre"])
def test_no_markup_takes_effect_in_a_browser(failed: tuple[Ran, Ran, Path], which: int) -> None:
    count = "document.body.setAttribute('data-injected', document.querySelectorAll('x-injected, iframe, link, base, svg[onload]').length)"
    with _ear() as (port, heard):
        everywhere = f"--host-resolver-rules=MAP evil.example 127.0.0.1:{port}"
        ran = failed[which]
        assert isinstance(ran, Ran)
        document = shown(ran.folder / "report.html", count, everywhere)
    assert 'data-injected="0"' in document
    assert "data-ran" not in (re.match(r".*?<html[^>]*>", document, re.DOTALL) or [""])[0]
    assert heard == []


@in_browser
def test_that_test_would_notice(tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text(f"<!DOCTYPE html><html><body>{MARKUP}</body></html>", encoding="utf-8")
    with _ear() as (port, heard):
        document = shown(page, "", f"--host-resolver-rules=MAP evil.example 127.0.0.1:{port}")
    assert "data-ran" in document
    assert heard
