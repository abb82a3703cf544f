"""What a watch makes of somebody in front of Cloud Run who answers 502 in the service's name."""

from __future__ import annotations

import pytest

from tests.clients.hostile import Conversation, Script, free_port, hostile
from tests.clients.service_questions import client
from tests.watch.scripted_sources import START
from verification.settings.service import Flows, HealthQuestion
from verification.watch.criteria.repeated_checks import FLOWS
from verification.watch.sources.questions import FlowSource, HealthSource

HEALTH = HealthQuestion(path="/health")
FLOW = Flows.model_validate(
    {
        "login": {
            "path": "/login",
            "body": {"password": "$PASSWORD"},
            "password_field": "password",
            "token": "token",
        },
        "search": {"path": "/search", "items": "items", "signed_in": True, "fields": {"id": "number"}},
    }
)


def cloudflare(conversation: Conversation) -> None:
    conversation.answer(b"error code: 502", "502 Bad Gateway", "Server: cloudflare", "Content-Type: text/plain")


def well(conversation: Conversation) -> None:
    conversation.answer(
        b'{"token": "a token of ours", "items": [{"id": 1}]}', "200 OK", "Content-Type: application/json"
    )


def ill(conversation: Conversation) -> None:
    conversation.answer(b"{}", "500 Internal Server Error", "X-Cloud-Trace-Context: 1/2;o=1")


@pytest.mark.parametrize(
    ("front", "origin", "value"),
    [
        (cloudflare, well, None),  # not the revision's doing
        (cloudflare, ill, 0.0),
        (cloudflare, cloudflare, 0.0),
        (cloudflare, None, 0.0),  # where nobody else is asked, who answers for the service is believed
        (ill, well, 0.0),  # that was the service's own answer
        (well, ill, 1.0),
    ],
)
def test_what_is_well_at_the_services_own_address_is_no_bad_answer(
    front: Script, origin: Script | None, value: float | None
) -> None:
    with hostile(front) as there, hostile(origin or ill) as own, client(there.url) as asked, client(own.url) as at_own:
        source = HealthSource(asked, HEALTH, 1.0, 1.0, at_own if origin else None)
        (sample,) = source.read_samples(START)
    assert (sample.value, sample.missing) == (value, value is None), sample


def test_an_own_address_that_cannot_be_reached_excuses_nothing() -> None:
    with hostile(cloudflare) as there, client(there.url) as asked, client(f"http://127.0.0.1:{free_port()}") as at_own:
        (sample,) = HealthSource(asked, HEALTH, 1.0, 1.0, at_own).read_samples(START)
    assert sample.value == 0


def test_a_user_who_is_logged_in_at_the_services_own_address_goes_on_with_that_login() -> None:
    with hostile(cloudflare) as there, hostile(well) as own, client(there.url) as asked, client(own.url) as at_own:
        source = FlowSource(asked, FLOW, {"PASSWORD": "long enough"}, 1.0, 1.0, at_own)
        samples = list(source.read_samples(START))
    assert [(sample.stream, sample.missing) for sample in samples] == [
        (f"{FLOWS}login", True),
        (f"{FLOWS}search", True),
    ]
    assert all("well" in sample.text for sample in samples), samples
