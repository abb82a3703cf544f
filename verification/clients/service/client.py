"""HTTP client of the service under verification, with a limit on time and size."""

from __future__ import annotations

import atexit
import ipaddress
import socket
import time
from collections.abc import Awaitable, Mapping
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.metadata import PackageNotFoundError, version
from threading import Lock

import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal

from verification.clients.service.answer import Answer
from verification.clients.service.certificate import trust
from verification.clients.service.failures import blamed
from verification.clients.service.standstill import Heartbeat, tolerated, within
from verification.deadline import Deadline, Stopwatch
from verification.errors import NotAsked, ObserverError, ServiceError, VerificationError
from verification.settings.service import Smoke, Target
from verification.settings.units import duration_text

_REDIRECTS = 5
_STARTING = 503
_TOO_MANY = 429  # says how often this machine asks, not how the revision does
_LATE = 408
_LESS_OFTEN = "Exempt the suite's user agent from the limit, or ask less often."
_AWAKE = "Run on a machine that is not paused or overloaded."
_ENCODINGS = {"", "identity", "gzip"}
_AGAIN = 3  # times, where this machine stood still


@cache
def user_agent() -> str:
    """How the suite names itself to the service, so that its questions can be told from users'."""
    try:
        number = version("deployment-verification")
    except PackageNotFoundError:
        number = "dev"
    return f"deployment-verification/{number}"


@dataclass(frozen=True, slots=True)
class _Line:
    """What questions are put through: a loop in a thread of its own, and the client and the heartbeat on it."""

    running: AbstractContextManager[BlockingPortal]
    portal: BlockingPortal
    client: httpx.AsyncClient
    heart: Heartbeat


class Service:
    """HTTP client of the service at one target. Each request is bounded from name lookup to last byte; none raises.

    What went wrong is the answer's `problem`, for the criterion to judge. Safe to use from many threads.
    """

    def __init__(self, target: Target, smoke: Smoke) -> None:
        self._target = target
        self._smoke = smoke
        self._largest = int(smoke.largest_answer_mb * 1_000_000)
        self._start_until = Deadline.after(smoke.within)
        self._lock = Lock()
        self._closed = False
        self._line: _Line | None = None

    def get(self, path: str, *, token: str = "", retry_503: bool = True) -> Answer:
        """`GET path` on the service. `retry_503`: a 503 is asked once more after `smoke.retry_after`."""
        if not (token.isascii() and token.isprintable()):
            problem = ServiceError(f"GET {path}: the token that the service gave out is none that a header can carry")
            return Answer(f"GET {self._target.url}{path}", problem=problem)
        return self._ask(self._request("GET", path, token=token), retry_503=retry_503)

    def post(self, path: str, body: Mapping[str, str], *, retry_503: bool = True, repeatable: bool = True) -> Answer:
        """`POST path` with a JSON body.

        `repeatable`: it may be put again where its answer was lost because this machine stood still. A wrong password
        may not, since a few of them lock the account: it is waited for instead. (A 503 has not looked at it.)
        """
        return self._ask(self._request("POST", path, body=body), retry_503=retry_503, repeatable=repeatable)

    def first_bytes(self, address: str, count: int = 1024) -> Answer:
        """The first `count` bytes at an address that the service gave out, on any host: asked without credentials."""
        problem = _unfit(address)
        if problem:
            return Answer(f"GET {address[:200]}", problem=ServiceError(f"{address[:200]!r} {problem}"))
        request = httpx.Request("GET", address, headers={**_headers(), "Range": f"bytes=0-{count - 1}"})
        return self._ask(request, retry_503=True, enough=count)

    def close(self) -> None:
        """End all connections, and all questions that are still open. A question put later is not asked."""
        with self._lock:
            self._closed = True
            atexit.unregister(self.close)
            if self._line is not None:
                with suppress(CancelledError):  # how the portal's thread takes leave
                    self._line.portal.call(self._line.portal.stop, True)
                    self._line.running.__exit__(None, None, None)
            self._line = None

    def _request(
        self, method: str, path: str, *, token: str = "", body: Mapping[str, str] | None = None
    ) -> httpx.Request:
        headers = {**_headers(), **({"Authorization": f"Bearer {token}"} if token else {})}
        return httpx.Request(method, self._target.url + path, headers=headers, json=body)

    def _ask(
        self, request: httpx.Request, *, retry_503: bool, repeatable: bool = True, enough: int | None = None
    ) -> Answer:
        """The answer; where so many bytes are `enough`, it may be redirected anywhere."""
        answer = self._unspoilt(request, enough, repeatable)
        if answer.code != _STARTING or not retry_503 or not self._start_until.leaves(self._smoke.retry_after):
            return answer
        time.sleep(self._smoke.retry_after)  # the checklist's remedy for a start that is not finished
        again = self._unspoilt(request, enough, repeatable)
        waited = duration_text(self._smoke.retry_after)
        twice = f"asked twice: the first answer was 503, this one came {waited} later"
        return replace(again, note="; ".join(filter(None, (twice, again.note))))

    def _unspoilt(self, request: httpx.Request, enough: int | None, repeatable: bool) -> Answer:
        """An answer during which this machine did not stand still. What it missed says nothing, and is asked again."""
        note = ""
        for _ in range(1 + _AGAIN * repeatable):
            answer, still = self._once(request, enough, patient=not repeatable)
            unspoilt = still <= tolerated(self._smoke.timeout) or isinstance(answer.problem, NotAsked)
            if unspoilt or (not repeatable and _is_whole(answer)):
                return replace(answer, note=note)
            note = f"asked again: this machine stood still for {still:.1f}s while the question was open"
        words = f"{answer.question}: this machine stood still for {still:.1f}s meanwhile: nothing was learned"
        return Answer(answer.question, problem=ObserverError(words, _AWAKE))

    def _once(self, request: httpx.Request, enough: int | None, *, patient: bool) -> tuple[Answer, float]:
        """The answer, and for how long this machine stood still while the question was open."""
        question = f"{request.method} {request.url}"
        try:
            line = self._connected(question)
            return line.portal.call(partial(self._listened, line, request, enough, patient))
        except CancelledError:
            return Answer(question, problem=_over(question)), 0.0
        except VerificationError as error:
            return Answer(question, problem=error), 0.0

    @property
    def _limit(self) -> str:
        return duration_text(self._smoke.timeout)

    def _connected(self, question: str) -> _Line:
        with self._lock:
            if self._closed:
                raise _over(question)
            if self._line is None:
                client = self._new_client()
                atexit.register(self.close)  # a portal left open would keep the process from ending
                running = start_blocking_portal()
                portal = running.__enter__()
                self._line = _Line(running, portal, client, portal.call(Heartbeat))
                portal.start_task_soon(self._line.heart.run)
            return self._line

    def _new_client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            verify=trust(self._target.ca_file),
            # Connecting gets less than the whole, so that "never connected" can be told from "never answered".
            timeout=httpx.Timeout(None, connect=self._smoke.timeout * 0.8),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            # No connection is used twice: one that the service closes just then would look like a broken answer.
            limits=httpx.Limits(max_connections=50, max_keepalive_connections=0),
        )

    async def _listened(
        self, line: _Line, request: httpx.Request, enough: int | None, patient: bool
    ) -> tuple[Answer, float]:
        before, asked = line.heart.stood_still(), Stopwatch.start()
        exchange = partial(self._exchange, line.client, request, enough)
        answer = await self._answered(within(self._smoke.timeout, line.heart, exchange, patient=patient), request)
        return replace(answer, seconds=asked.seconds), line.heart.stood_still() - before

    async def _answered(self, exchange: Awaitable[Answer], request: httpx.Request) -> Answer:
        question = f"{request.method} {request.url}"
        try:
            answer = await exchange
        except TimeoutError:
            answer = Answer(question, problem=ServiceError(f"{question}: no complete answer within {self._limit}"))
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            answer = Answer(question, problem=blamed(error, request.url, question, self._limit))
        except UnicodeError:
            answer = Answer(question, problem=ServiceError(f"{question}: its host name is none"))
        except VerificationError as error:
            answer = Answer(question, problem=error)
        if answer.code == _TOO_MANY:
            answer = replace(answer, problem=ObserverError(f"{question}: answered 429, too many requests", _LESS_OFTEN))
        return answer

    async def _exchange(self, client: httpx.AsyncClient, request: httpx.Request, enough: int | None) -> Answer:
        question = f"{request.method} {request.url}"
        for _ in range(_REDIRECTS + 1):
            response = await client.send(request, stream=True)
            try:
                following = response.next_request if request.method == "GET" else None
                if following is None:
                    body = await self._body(response, enough, question)
                    return Answer(question, response.status_code, dict(response.headers), body)
                _refuse_elsewhere(request, following, question, anywhere=enough is not None)
                request = following
            finally:
                await response.aclose()
        raise ServiceError(f"{question}: redirected more than {_REDIRECTS} times")

    async def _body(self, response: httpx.Response, enough: int | None, question: str) -> bytes:
        encoding = response.headers.get("content-encoding", "").strip().lower()
        if encoding not in _ENCODINGS:  # several, one inside the other, could unpack without bounds
            raise ServiceError(f"{question}: the answer is encoded as {encoding[:40]!r}, which was not asked for")
        body = b""
        async for chunk in response.aiter_bytes():
            body += chunk
            if enough is not None and len(body) >= enough:
                return body[:enough]
            if len(body) > self._largest:
                raise ServiceError(f"{question}: the answer is larger than {self._smoke.largest_answer_mb:g} MB")
        return body


def _is_whole(answer: Answer) -> bool:
    """Whether it is the service's own, and none that it gives to whoever is late."""
    return answer.problem is None and answer.code is not None and answer.code < 500 and answer.code != _LATE


def _headers() -> dict[str, str]:
    return {"User-Agent": user_agent(), "Accept": "application/json, */*;q=0.5", "Accept-Encoding": "gzip"}


def _refuse_elsewhere(request: httpx.Request, following: httpx.Request, question: str, anywhere: bool) -> None:
    here, there = request.url, following.url
    if not anywhere and (here.scheme, here.host, here.port) != (there.scheme, there.host, there.port):
        raise ServiceError(f"{question}: redirects to another address, {there}")
    if anywhere and (problem := _unfit(str(there))):
        raise ServiceError(f"{question}: redirects to {there}, which {problem}")


def _unfit(address: str) -> str:
    """Why an address that the service gave out is not followed, or nothing: it could point into our own network."""
    try:
        url = httpx.URL(address)
        httpx.Request("GET", url)
    except (httpx.InvalidURL, ValueError):
        return "is not an address"
    if url.scheme not in {"http", "https"} or not url.host:
        return "is not an absolute http(s) address"
    return "points into the network of whoever asks" if _is_inside(url.host) else ""


def _is_inside(host: str) -> bool:
    """Whether `host` is where clouds keep their metadata, in any of the ways to write that."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            address = ipaddress.ip_address(socket.inet_aton(host))  # such as 0xa9fea9fe, which connects too
        except (OSError, UnicodeError):
            return host.rstrip(".").endswith(".internal")
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_link_local or (mapped is not None and mapped.is_link_local)


def _over(question: str) -> NotAsked:
    return NotAsked(f"{question}: the run was over before there was an answer")
