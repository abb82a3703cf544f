"""Connections to the service that fail, or do not end: whose fault that is."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.clients.hostile import Authority, Conversation, free_port, hostile
from tests.clients.service_questions import client, problem, silent
from verification.clients.service.answer import Answer
from verification.clients.service.client import Service
from verification.errors import NotAsked, NotRevisionRelated, ObserverError
from verification.settings.service import Smoke, Target

pytestmark = pytest.mark.timeout(60)  # no question may outlive its own limit; this is for a client without one

ROOT = Path(__file__).parents[2]


# --- no connection -------------------------------------------------------------------------------------------------


def test_a_refused_connection_never_comes_from_a_revision() -> None:
    """Google's front end accepts it, whatever the revision does; yet what nobody reaches does not pass."""
    with client(f"http://127.0.0.1:{free_port()}") as service:
        said = problem(service.get("/health"))
    assert isinstance(said, ObserverError)
    assert "connection refused" in str(said)
    assert said.remedy


def test_a_connection_that_breaks_before_tls_stands_never_came_to_a_revision() -> None:
    with (
        hostile(lambda one: one.connection.close()) as server,
        client(server.url.replace("http:", "https:")) as service,
    ):
        said = problem(service.get("/health"))
    assert isinstance(said, ObserverError)


def test_a_name_that_does_not_resolve_says_nothing_about_the_service() -> None:
    with client("http://nobody.invalid", timeout="5s") as service:
        said = problem(service.get("/health"))
    assert isinstance(said, ObserverError)
    assert "nobody.invalid" in str(said)
    assert said.remedy


def test_a_fault_of_this_machine_says_nothing_about_the_service() -> None:
    """Here: no file handle is left for a connection."""
    script = """
import os, resource
from verification.clients.service.client import Service
from verification.settings.service import Smoke, Target
service = Service(Target(url="http://127.0.0.1:9"), Smoke())
service.get("/health")  # so that the client itself is not what runs out
free = os.open("/dev/null", os.O_RDONLY)
resource.setrlimit(resource.RLIMIT_NOFILE, (free, free))
print(type(service.get("/health").problem).__name__)
service.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout == "ObserverError\n", done.stderr


def test_a_handshake_that_never_comes_says_nothing_about_the_revision() -> None:
    """TLS ends at the front door, before any revision."""
    with hostile(silent) as server, client(server.url.replace("http:", "https:")) as service:
        said = problem(service.get("/health"))
    assert isinstance(said, ObserverError)


# --- certificates --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "host", "known", "told"),
    [
        (30, "127.0.0.1", False, "unable to get local issuer certificate"),
        (-1, "127.0.0.1", True, "expired"),
        (30, "other.example", True, "IP address mismatch"),
    ],
    ids=["unknown-authority", "expired", "another-host"],
)
def test_a_bad_certificate_is_the_services_fault_and_no_revisions(
    tmp_path: Path, days: int, host: str, known: bool, told: str
) -> None:
    authority = Authority.create(tmp_path)
    tls = authority.server(dt.timedelta(days=days), host)
    with (
        hostile(lambda one: one.answer(b"{}"), tls) as server,
        client(server.url, str(authority.file) if known else None) as service,
    ):
        said = problem(service.get("/health"))
        assert server.requests == [], "nothing may be sent over a connection that is not trusted"
    assert isinstance(said, NotRevisionRelated)
    assert told in str(said)


def test_a_good_certificate_of_a_private_authority_is_trusted(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path)
    tls = authority.server(dt.timedelta(days=30))
    with hostile(lambda one: one.answer(b"{}"), tls) as server, client(server.url, str(authority.file)) as service:
        service.get("/health").status.must_be(200)


@pytest.mark.parametrize("content", [None, "this is no certificate"])
def test_an_authority_file_of_no_use_says_nothing_about_the_service(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content:
        file.write_text(content)
    with client("https://127.0.0.1:9", str(file)) as service:
        said = problem(service.get("/health"))
    assert isinstance(said, ObserverError)
    assert str(file) in str(said)


# --- the end -------------------------------------------------------------------------------------------------------


def test_closing_ends_a_question_that_is_still_open_and_blames_nobody() -> None:
    begun = threading.Event()
    answers: list[Answer] = []

    def script(one: Conversation) -> None:
        begun.set()
        one.hold()

    with hostile(script) as server, client(server.url, timeout="300s") as service:
        thread = threading.Thread(target=lambda: answers.append(service.get("/health")), daemon=True)
        thread.start()
        assert begun.wait(20)
        service.close()
        thread.join(20)
    assert isinstance(answers[0].problem, NotAsked)


def test_after_closing_nothing_is_asked_and_no_thread_is_left() -> None:
    threads = threading.active_count()
    with hostile(lambda one: one.answer(b"{}")) as server:
        with client(server.url) as service:
            service.get("/health").status.must_be(200)
        assert isinstance(service.get("/health").problem, NotAsked)
        assert len(server.requests) == 1
    assert threading.active_count() <= threads


def test_a_client_that_nobody_closed_does_not_keep_the_process_from_ending() -> None:
    script = """
from verification.clients.service.client import Service
from verification.settings.service import Smoke, Target
service = Service(Target(url="http://127.0.0.1:9"), Smoke())
print(service.get("/health").problem)
"""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, timeout=30, check=True)


def test_many_questions_at_once_have_an_answer_each() -> None:
    with (
        hostile(lambda one: one.answer(one.request.split()[1].encode())) as server,
        client(server.url, timeout="20s") as service,
    ):
        bodies: dict[str, bytes] = {}
        threads = [
            threading.Thread(target=lambda path=f"/{n}": bodies.update({path: service.get(path).body}))
            for n in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert bodies == {f"/{n}": f"/{n}".encode() for n in range(20)}


def test_a_proxy_that_refuses_is_not_the_services_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a broken proxy of ours would roll a healthy production back."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    service = Service(Target(url="http://service.invalid"), Smoke(timeout="5s", retry_after="200ms"))  # type: ignore[arg-type]
    answer = service.get("/health")
    service.close()
    assert isinstance(answer.problem, ObserverError)
    assert "HTTP_PROXY" in str(answer.problem)
