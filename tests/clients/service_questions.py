"""A client of the service that is impatient, and what it makes of a server that plays a script."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.clients.hostile import Conversation, Script, hostile
from verification.clients.service.answer import Answer
from verification.clients.service.client import Service
from verification.errors import VerificationError
from verification.settings.service import Smoke, Target


@contextmanager
def client(url: str, ca_file: str | None = None, **smoke: str | float | list[str]) -> Iterator[Service]:
    """A client that waits half a second for an answer, and asks again after a moment."""
    settings = Smoke.model_validate({"timeout": "500ms", "retry_after": "10ms", **smoke})
    service = Service(Target(url=url, ca_file=ca_file), settings)
    try:
        yield service
    finally:
        service.close()


def asked(script: Script, **smoke: str | float) -> Answer:
    """What the client makes of a server that plays `script`."""
    with hostile(script) as server, client(server.url, None, **smoke) as service:
        return service.get("/health")


def problem(answer: Answer) -> VerificationError:
    """What a criterion is told that asks this answer for its status."""
    with pytest.raises(VerificationError) as caught:
        answer.status.must_be(200)
    return caught.value


def chunked(conversation: Conversation) -> None:
    conversation.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


def silent(conversation: Conversation) -> None:
    conversation.hold()
