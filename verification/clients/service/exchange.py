"""One question to the service, from the name lookup to the last byte: bounded in time and size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import httpx

from verification.clients.service.addresses import unfit
from verification.clients.service.answer import Answer
from verification.clients.service.failures import blamed
from verification.clients.service.standstill import Heartbeat, within
from verification.errors import ObserverError, ServiceError, VerificationError
from verification.settings.service import Smoke
from verification.settings.units import duration_text

_REDIRECTS = 5
_TOO_MANY = 429  # says how often this machine asks, not how the revision does
_LESS_OFTEN = "Exempt the suite's user agent from the limit, or ask less often."
_ENCODINGS = {"", "identity", "gzip"}


@dataclass(frozen=True)
class Exchange:
    """A question, put once. Where so many bytes are `enough`, it may be redirected anywhere.

    One that is not `repeatable` is waited for twice as long after a standstill of this machine.
    """

    request: httpx.Request
    smoke: Smoke
    enough: int | None = None
    repeatable: bool = True

    @property
    def question(self) -> str:
        """What is asked, for people."""
        return f"{self.request.method} {self.request.url}"

    async def answered(self, client: httpx.AsyncClient, heart: Heartbeat) -> Answer:
        """The answer, or what kept it from coming, as its problem."""
        limit = duration_text(self.smoke.timeout)
        try:
            ask = partial(self._follow, client)
            answer = await within(self.smoke.timeout, heart, ask, patient=not self.repeatable)
        except TimeoutError:
            return self._failed(ServiceError(f"{self.question}: no complete answer within {limit}"))
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return self._failed(blamed(error, self.request.url, self.question, limit))
        except UnicodeError:
            return self._failed(ServiceError(f"{self.question}: its host name is none"))
        except VerificationError as error:
            return self._failed(error)
        if answer.code == _TOO_MANY:
            words = f"{self.question}: answered 429, too many requests"
            return replace(answer, problem=ObserverError(words, _LESS_OFTEN))
        return answer

    def _failed(self, problem: VerificationError) -> Answer:
        return Answer(self.question, problem=problem)

    async def _follow(self, client: httpx.AsyncClient) -> Answer:
        request = self.request
        for _ in range(_REDIRECTS + 1):
            response = await client.send(request, stream=True)
            try:
                following = response.next_request if request.method == "GET" else None
                if following is None:
                    body = await self._body(response)
                    return Answer(self.question, response.status_code, dict(response.headers), body)
                self._refuse_elsewhere(request, following)
                request = following
            finally:
                await response.aclose()
        raise ServiceError(f"{self.question}: redirected more than {_REDIRECTS} times")

    async def _body(self, response: httpx.Response) -> bytes:
        encoding = response.headers.get("content-encoding", "").strip().lower()
        if encoding not in _ENCODINGS:  # several, one inside the other, could unpack without bounds
            raise ServiceError(f"{self.question}: the answer is encoded as {encoding[:40]!r}, which was not asked for")
        largest = int(self.smoke.largest_answer_mb * 1_000_000)
        body = b""
        async for chunk in response.aiter_bytes():
            body += chunk
            if self.enough is not None and len(body) >= self.enough:
                return body[: self.enough]
            if len(body) > largest:
                raise ServiceError(f"{self.question}: the answer is larger than {self.smoke.largest_answer_mb:g} MB")
        return body

    def _refuse_elsewhere(self, request: httpx.Request, following: httpx.Request) -> None:
        here, there = request.url, following.url
        anywhere = self.enough is not None
        if not anywhere and (here.scheme, here.host, here.port) != (there.scheme, there.host, there.port):
            raise ServiceError(f"{self.question}: redirects to another address, {there}")
        if anywhere and (problem := unfit(str(there))):
            raise ServiceError(f"{self.question}: redirects to {there}, which {problem}")
