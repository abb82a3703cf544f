"""The certificate's measurements: trusted or not, and for how long still."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from tests.clients.hostile import Authority, Conversation, free_port, hostile
from verification.clients.service.certificate import Certificate, certificate
from verification.errors import NotRevisionRelated, ObserverError, ServiceError, VerificationError

pytestmark = pytest.mark.timeout(60)


def silent(conversation: Conversation) -> None:
    conversation.hold()


def problem(seen: Certificate) -> VerificationError:
    """What the criterion is told; both measurements tell the same."""
    with pytest.raises(VerificationError) as caught:
        seen.trust.must_be("trusted")
    with pytest.raises(type(caught.value)):
        seen.days_left.must_be_more_than(0)
    return caught.value


def test_a_trusted_certificate_says_how_many_days_it_has_left(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path)
    with hostile(silent, authority.server(dt.timedelta(days=20, hours=12))) as server:
        seen = certificate(server.url, str(authority.file), 10)
    seen.trust.must_be("trusted")
    seen.days_left.must_be_between(20.4, 20.5)
    with pytest.raises(ServiceError, match=r"20\.\d days, expected more than 21 days"):
        seen.days_left.must_be_more_than(21)


@pytest.mark.parametrize(
    ("days", "host", "known", "told"),
    [
        (20, "127.0.0.1", False, "unable to get local issuer"),
        (-1, "127.0.0.1", True, "expired"),
        (200, "127.0.0.1", True, "not yet valid"),
        (20, "other.example", True, "mismatch"),
    ],
    ids=["unknown-authority", "expired", "not-yet-valid", "another-host"],
)
def test_a_certificate_that_users_would_not_trust_is_the_services_fault_and_no_revisions(
    tmp_path: Path, days: int, host: str, known: bool, told: str
) -> None:
    authority = Authority.create(tmp_path)
    with hostile(silent, authority.server(dt.timedelta(days=days), host)) as server:
        said = problem(certificate(server.url, str(authority.file) if known else None, 10))
    assert isinstance(said, NotRevisionRelated)
    assert told in str(said)


def test_a_server_that_speaks_no_tls_is_the_services_fault_and_no_revisions() -> None:
    def plain(conversation: Conversation) -> None:
        conversation.answer(b"{}")

    with hostile(plain) as server:
        said = problem(certificate(f"https://127.0.0.1:{server.port}", None, 10))
    assert isinstance(said, NotRevisionRelated)
    assert "no TLS handshake" in str(said)


def test_a_refused_connection_says_nothing_about_the_service() -> None:
    said = problem(certificate(f"https://127.0.0.1:{free_port()}", None, 5))
    assert isinstance(said, ObserverError)
    assert "refused" in str(said)


@pytest.mark.parametrize("host", ["nobody.invalid", "127.0.0.1"])
def test_no_handshake_in_time_and_no_such_name_say_nothing_about_the_service(host: str) -> None:
    with hostile(silent) as server:
        said = problem(certificate(f"https://{host}:{server.port}", None, 0.3))
    assert isinstance(said, ObserverError)
    assert said.remedy


@pytest.mark.parametrize("content", [None, "this is no certificate"])
def test_an_authority_file_of_no_use_says_nothing_about_the_service(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content:
        file.write_text(content)
    said = problem(certificate("https://127.0.0.1:9", str(file), 5))
    assert isinstance(said, ObserverError)
    assert str(file) in str(said)
