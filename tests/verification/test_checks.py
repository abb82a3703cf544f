"""One place decides what healthy is, and what a login and a listing must be."""

from __future__ import annotations

import json

import pytest

from verification.checks import login_of, must_be_deeply_healthy, must_be_healthy, must_be_listed, must_be_logged_in
from verification.clients.service.answer import Answer, Json
from verification.errors import ServiceError
from verification.settings.service import DeepHealth, HealthQuestion, ListFlow, LoginFlow

DEEP = DeepHealth(path="/health/deep", critical=["mongodb"])
LOGIN = LoginFlow(path="/login", body={"password": "$PASSWORD"}, token="token", password_field="password")
LIST = ListFlow(path="/content", items="items", at_least=1, at_most=2, fields={"id": "string"})


def answer(body: Json, code: int = 200) -> Answer:
    return Answer("GET /", code, body=json.dumps(body).encode())


def deep(state: str, mongodb: str = "healthy") -> Json:
    return {"status": state, "services": {"mongodb": {"status": mongodb}}}


@pytest.mark.parametrize(
    ("role", "body", "code", "good"),
    [
        ("production", deep("healthy"), 200, True),
        ("production", deep("degraded"), 200, False),
        ("staging", deep("degraded"), 200, True),
        ("staging", deep("degraded", mongodb="degraded"), 200, False),
        ("staging", deep("unhealthy"), 200, False),
        ("staging", deep("healthy"), 503, False),
        ("staging", {"status": "healthy"}, 200, False),
        ("staging", None, 200, False),
    ],
)
def test_what_deeply_healthy_is_depends_on_the_role(role: str, body: Json, code: int, good: bool) -> None:
    if good:
        must_be_deeply_healthy(answer(body, code), DEEP, DEEP.states(role))
        return
    with pytest.raises(ServiceError):
        must_be_deeply_healthy(answer(body, code), DEEP, DEEP.states(role))


@pytest.mark.parametrize(("body", "code"), [({"status": "ill"}, 200), ({"status": "ok"}, 503), ({}, 200)])
def test_a_health_path_must_answer_200_and_as_expected(body: Json, code: int) -> None:
    question = HealthQuestion(path="/health", expect={"status": "ok"})
    must_be_healthy(answer({"status": "ok"}), question)
    with pytest.raises(ServiceError):
        must_be_healthy(answer(body, code), question)


@pytest.mark.parametrize(
    ("body", "code"), [({"token": ""}, 200), ({"token": 7}, 200), ({}, 200), ({"token": "t-0123456789"}, 500)]
)
def test_a_login_must_succeed_with_a_token(body: Json, code: int) -> None:
    good = login_of(answer({"token": "t-0123456789"}), LOGIN)
    must_be_logged_in(good)
    assert (good.token, good.answer.body) == ("t-0123456789", b""), "the body is a credential"
    with pytest.raises(ServiceError):
        must_be_logged_in(login_of(answer(body, code), LOGIN))


@pytest.mark.parametrize(
    ("items", "code"), [([], 200), ([{"id": "a"}] * 3, 200), ([{"id": 1}], 200), ([{"id": "a"}], 500)]
)
def test_a_listing_must_be_as_long_and_complete_as_its_flow_says(items: list[Json], code: int) -> None:
    must_be_listed(answer({"items": [{"id": "a"}]}).listing(LIST))
    with pytest.raises(ServiceError):
        must_be_listed(answer({"items": items}, code).listing(LIST))
