"""What a good answer of the service is: the rules that the criteria, the watch and the rollback's verification share.

Nothing is asked here. Each rule holds an answer's values to their limits, in the order in which a reader would look,
and raises as they do: ServiceError for a bad one, the problem of one that is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from verification.clients.service.answer import Answer, Listing
from verification.errors import AskedOnce, CredentialsRefused, ObserverError, ServiceError, VerificationError
from verification.redaction import register
from verification.settings.loading import secret
from verification.settings.service import DeepHealth, HealthQuestion, LoginFlow
from verification.verdict import Measurement

_OK = 200


@dataclass(frozen=True, slots=True)
class Login:
    """The answer to a login; the token itself is known only as present or not."""

    answer: Answer
    token: str
    problem: VerificationError | None = None
    refused: bool = False  # with the status that a wrong password gets

    @property
    def status(self) -> Measurement:
        """The HTTP status."""
        return self.answer.status

    @property
    def is_no_good(self) -> bool:
        """Whether it is no answer at all, or an error of the service's."""
        return self.answer.is_no_good

    @property
    def has_token(self) -> Measurement:
        """Whether the answer carries a token."""
        return Measurement(
            "token", "present" if self.token else "absent", source=self.answer.question, problem=self.problem
        )


def credentials(flow: LoginFlow, variables: Mapping[str, str]) -> dict[str, str]:
    """The login's body, with its secrets. Raises SettingsError for one that is not set."""
    return {key: secret(value, f"flows.login.body.{key}", variables) for key, value in flow.body.items()}


def login_of(answer: Answer, flow: LoginFlow) -> Login:
    """The answer read as a login, with its token, which becomes a known secret."""
    try:
        token = answer.value(flow.token)
    except VerificationError as problem:
        return Login(discreet(answer), "", problem, refused=answer.code == flow.refused_with)
    if not isinstance(token, str):
        return Login(discreet(answer), "")
    register(token)
    return Login(discreet(answer), token)


def refused_login_of(answer: Answer, flow: LoginFlow) -> Answer:
    """The answer to a wrong password. One that failed says nothing: it is not put again, lest the account is locked.

    One that is refused otherwise than expected lets nobody in: whether settings or release are wrong is not known.
    """
    if answer.problem is None and answer.code is not None and answer.code < 500:
        if answer.code < 400 or answer.code == flow.refused_with:
            return discreet(answer)
        otherwise = f"{answer.question}: a wrong password is refused with {answer.code}, expected {flow.refused_with}"
        remedy = "Mend flows.login.refused_with in deployment.toml, unless the release should not have changed that."
        return replace(answer, problem=ObserverError(otherwise, remedy))
    why = answer.problem.cause if answer.problem else f"{answer.question}: answered {answer.code}"
    problem = AskedOnce(f"whether a wrong password is refused is not known: {why}", "It is asked once in a run.")
    return replace(answer, problem=problem)


def discreet(answer: Answer) -> Answer:
    """Without the body of a successful login: it is a credential."""
    return replace(answer, body=b"") if answer.code is not None and answer.code < 300 else answer


def must_be_healthy(answer: Answer, question: HealthQuestion) -> None:
    """Hold a health path to answer 200, and what the settings expect of it."""
    __tracebackhide__ = True
    answer.status.must_be(_OK)
    answer.must_say(question.expect)


def must_be_deeply_healthy(answer: Answer, question: DeepHealth, states: Sequence[str]) -> None:
    """Hold the deep health path to answer 200, its critical services to be healthy, and the whole to be in `states`."""
    __tracebackhide__ = True
    answer.status.must_be(_OK)
    must_have_healthy_parts(answer, question, states)


def must_have_healthy_parts(answer: Answer, question: DeepHealth, states: Sequence[str]) -> None:
    """The same, whatever the status code: what the service says of itself."""
    __tracebackhide__ = True
    for name in question.critical:
        answer.field(f"services.{name}.status").must_be("healthy")
    must_be_in_state(answer, states)


def must_be_in_state(answer: Answer, states: Sequence[str]) -> None:
    """Hold the overall state of the deep health to be one of `states`: those that the role allows."""
    __tracebackhide__ = True
    answer.field("status").must_be_one_of(*states)


def must_be_logged_in(login: Login) -> None:
    """Hold a login to succeed, with a token."""
    __tracebackhide__ = True
    try:
        login.status.must_be(_OK)
    except ServiceError as bad:
        if not login.refused:
            raise
        remedy = "If the release did not change that, the account was: check its password, and whether it is locked."
        raise CredentialsRefused(bad.cause, remedy) from None
    login.has_token.must_be("present")


def must_be_listed(listing: Listing) -> None:
    """Hold a listing to have as many items as its flow says, each complete."""
    __tracebackhide__ = True
    listing.status.must_be(_OK)
    listing.count.must_be_between(listing.flow.at_least, listing.flow.most)
    listing.shape.must_be("complete")
