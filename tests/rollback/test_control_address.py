"""Whether a tag's address is answered otherwise than the service's own, so that the revision there cannot be asked."""

from __future__ import annotations

import pytest

from rollback.evidence.control import answers_otherwise
from verification.clients.service.answer import Answer
from verification.errors import RedirectedElsewhere, ServiceError

QUESTION = "GET /health"
ELSEWHERE = Answer(QUESTION, problem=RedirectedElsewhere("redirects to another address"))
SILENT = Answer(QUESTION, problem=ServiceError("no complete answer"))


def answered(code: int) -> Answer:
    return Answer(QUESTION, code)


@pytest.mark.parametrize(
    ("there", "service", "otherwise"),
    [
        (answered(400), answered(200), True),
        (answered(403), answered(200), True),
        (answered(301), answered(503), True),
        (ELSEWHERE, answered(200), True),
        (answered(400), answered(400), False),
        (ELSEWHERE, ELSEWHERE, False),
        (answered(404), answered(200), False),  # the revision from before has no such path yet
        (answered(500), answered(200), False),
        (SILENT, answered(200), False),
        (answered(200), answered(200), False),
    ],
)
def test_what_is_refused_at_the_tags_address_alone_says_nothing(
    there: Answer, service: Answer, otherwise: bool
) -> None:
    assert answers_otherwise(there, service) is otherwise
