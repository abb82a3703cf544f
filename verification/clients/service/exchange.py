"""One question to the service, from the name lookup to the last byte: bounded in time and size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import httpx

from verification.clients.service.addresses import unfit
from verification.clients.service.answer import Answer
from verification.clients.service.failures import blamed, not_the_revisions
from verification.clients.service.front_door import answered_in_front
from verification.clients.service.standstill import Heartbeat, within
from verification.errors import RedirectedElsewhere, ServiceError, VerificationError
from verification.redaction import shown_address
from verification.settings.service import Smoke
from verification.settings.units import duration_text

_REDIRECTS = 5
_ENCODINGS = {"", "identity", "gzip"}


@dataclass(frozen=True)
class Exchange:
    """A question, put once. `home` is the service's address: no other host's failure is the revision's.

    Where so many bytes are `enough`, it may be redirected anywhere. One that is not `repeatable` is waited for twice as
    long after a standstill of this machine.
    """

    request: httpx.Request
    home: httpx.URL
    smoke: Smoke
    enough: int | None = None
    repeatable: bool = True

    @property
    def question(self) -> str:
        """What is asked, for people."""
        return f"{self.request.method} {self._shown(self.request.url)}"

    def _shown(self, url: httpx.URL) -> str:
        return shown_address(str(url), self.smoke.shown_parameters)

    async def answered(self, client: httpx.AsyncClient, heart: Heartbeat) -> Answer:
        """The answer, or what kept it from coming, as its problem."""
        asked = [self.request.url]
        answer = await self._bounded(client, heart, asked)
        last = asked[-1]
        same = (last.host, last.port) == (self.home.host, self.home.port)
        return answer if same else not_the_revisions(answer, last.netloc.decode("ascii", "replace"))

    async def _bounded(self, client: httpx.AsyncClient, heart: Heartbeat, asked: list[httpx.URL]) -> Answer:
        limit = duration_text(self.smoke.timeout)
        try:
            ask = partial(self._follow, client, asked)
            return await within(self.smoke.timeout, heart, ask, patient=not self.repeatable)
        except TimeoutError:
            return self._failed(ServiceError(f"{self.question}: no complete answer within {limit}"))
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return self._failed(blamed(error, asked[-1], self.question, limit))
        except UnicodeError:
            return self._failed(ServiceError(f"{self.question}: its host name is none"))
        except VerificationError as error:
            return self._failed(error)

    def _failed(self, problem: VerificationError) -> Answer:
        return Answer(self.question, problem=problem)

    async def _follow(self, client: httpx.AsyncClient, asked: list[httpx.URL]) -> Answer:
        """The answer at the end of all redirects, whose addresses are added to `asked`."""
        request = self.request
        for _ in range(_REDIRECTS + 1):
            response = await client.send(request, stream=True)
            try:
                answer = Answer(self.question, response.status_code, dict(response.headers))
                following = response.next_request if request.method == "GET" else None
                if following is None:
                    answer = replace(answer, body=await self._body(response))
                    return replace(answer, problem=answered_in_front(answer))
                self._refuse_elsewhere(request, following, answer)
                request = following
                asked.append(request.url)
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

    def _refuse_elsewhere(self, request: httpx.Request, following: httpx.Request, answer: Answer) -> None:
        here, there = request.url, following.url
        anywhere = self.enough is not None
        if not anywhere and (here.scheme, here.host, here.port) != (there.scheme, there.host, there.port):
            raise answered_in_front(answer) or RedirectedElsewhere(
                f"{self.question}: redirects to another address, {self._shown(there)}"
            )
        if anywhere and (problem := unfit(str(there))):
            raise ServiceError(f"{self.question}: redirects to {self._shown(there)}, which {problem}")
