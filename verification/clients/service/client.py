"""HTTP client of the service under verification, with a limit on time and size."""

from __future__ import annotations

import atexit
import time
from collections.abc import Mapping
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.metadata import PackageNotFoundError, version
from threading import Lock

import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal

from verification.clients.service.addresses import unfit
from verification.clients.service.answer import Answer
from verification.clients.service.certificate import trust
from verification.clients.service.exchange import Exchange
from verification.clients.service.restraint import Restraint
from verification.clients.service.standstill import Heartbeat, tolerated
from verification.deadline import Deadline, Stopwatch
from verification.errors import NotAsked, ObserverError, ServiceError, VerificationError
from verification.redaction import shown_address
from verification.settings.service import Smoke, Target
from verification.settings.units import duration_text

_STARTING = 503
_LATE = 408
_AWAKE = "Run on a machine that is not paused or overloaded."
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
        self._start_until = Deadline.after(smoke.within)
        self._lock = Lock()
        self._closed = False
        self._line: _Line | None = None
        self._restraint = Restraint()

    def get(self, path: str, *, token: str = "", retry_503: bool = True) -> Answer:
        """`GET path` on the service. `retry_503`: a 503 is asked once more after `smoke.retry_after`."""
        if not (token.isascii() and token.isprintable()):
            problem = ServiceError(
                f"GET {self._shown(path)}: the token that the service gave out is none that a header can carry"
            )
            return Answer(f"GET {self._shown(self._target.url + path)}", problem=problem)
        return self._ask(self._exchange("GET", path, token=token), retry_503=retry_503)

    def post(self, path: str, body: Mapping[str, str], *, retry_503: bool = True, repeatable: bool = True) -> Answer:
        """`POST path` with a JSON body.

        `repeatable`: it may be put again, after a 503 or where this machine stood still. A wrong password may not, it
        might lock the account. After a standstill it is waited for instead.
        """
        exchange = replace(self._exchange("POST", path, body=body), repeatable=repeatable)
        return self._ask(exchange, retry_503=retry_503 and repeatable)

    def first_bytes(self, address: str, count: int = 1024) -> Answer:
        """The first `count` bytes at an address that the service gave out, on any host: asked without credentials."""
        problem = unfit(address)
        if problem:
            shown = self._shown(address)[:200]
            return Answer(f"GET {shown}", problem=ServiceError(f"{shown!r} {problem}"))
        request = httpx.Request("GET", address, headers={**_headers(), "Range": f"bytes=0-{count - 1}"})
        return self._ask(Exchange(request, httpx.URL(self._target.url), self._smoke, enough=count), retry_503=True)

    def _shown(self, address: str) -> str:
        return shown_address(address, self._smoke.shown_parameters)

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

    def _exchange(self, method: str, path: str, *, token: str = "", body: Mapping[str, str] | None = None) -> Exchange:
        headers = {**_headers(), **({"Authorization": f"Bearer {token}"} if token else {})}
        request = httpx.Request(method, self._target.url + path, headers=headers, json=body)
        return Exchange(request, request.url, self._smoke)

    def _ask(self, exchange: Exchange, *, retry_503: bool) -> Answer:
        answer = self._unspoilt(exchange)
        if answer.code != _STARTING or not retry_503 or not self._start_until.leaves(self._smoke.retry_after):
            return answer
        time.sleep(self._smoke.retry_after)  # the checklist's remedy for a start that is not finished
        again = self._unspoilt(exchange)
        waited = duration_text(self._smoke.retry_after)
        twice = f"asked twice: the first answer was 503, this one came {waited} later"
        return replace(again, note="; ".join(filter(None, (twice, again.note))))

    def _unspoilt(self, exchange: Exchange) -> Answer:
        """An answer during which this machine did not stand still. What it missed says nothing, and is asked again."""
        note = ""
        for _ in range(1 + _AGAIN * exchange.repeatable):
            answer, still = self._once(exchange)
            unspoilt = still <= tolerated(self._smoke.timeout) or isinstance(answer.problem, NotAsked)
            if unspoilt or (not exchange.repeatable and _is_whole(answer)):
                return replace(answer, note=note)
            note = f"asked again: this machine stood still for {still:.1f}s while the question was open"
        words = f"{exchange.question}: this machine stood still for {still:.1f}s meanwhile: nothing was learned"
        return Answer(exchange.question, problem=ObserverError(words, _AWAKE))

    def _once(self, exchange: Exchange) -> tuple[Answer, float]:
        """The answer, and for how long this machine stood still while the question was open."""
        held_back = self._restraint.holds_back(exchange.request, exchange.question)
        if held_back is not None:
            return Answer(exchange.question, problem=held_back), 0.0
        try:
            line = self._connected(exchange.question)
            answer, still = line.portal.call(_listened, line, exchange)
        except CancelledError:
            return Answer(exchange.question, problem=_over(exchange.question)), 0.0
        except VerificationError as error:
            return Answer(exchange.question, problem=error), 0.0
        self._restraint.heed(exchange.request, answer)
        return answer, still

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


async def _listened(line: _Line, exchange: Exchange) -> tuple[Answer, float]:
    before, asked = line.heart.stood_still(), Stopwatch.start()
    answer = await exchange.answered(line.client, line.heart)
    return replace(answer, seconds=asked.seconds), line.heart.stood_still() - before


def _is_whole(answer: Answer) -> bool:
    """Whether it is the service's own, and none that it gives to whoever is late."""
    return answer.problem is None and answer.code is not None and answer.code < 500 and answer.code != _LATE


def _headers() -> dict[str, str]:
    return {"User-Agent": user_agent(), "Accept": "application/json, */*;q=0.5", "Accept-Encoding": "gzip"}


def _over(question: str) -> NotAsked:
    return NotAsked(f"{question}: the run was over before there was an answer")
