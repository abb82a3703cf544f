"""Read from an outside JSON API with a token, or write to it: bounded, rate limits waited for, the answer checked.

Nothing here says anything about the service: whatever goes wrong is an ObserverError, a refused token NotPermitted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TypeVar
from urllib.parse import urlencode, urlsplit

import httpx
from pydantic import TypeAdapter, ValidationError

from verification.clients.service.client import user_agent
from verification.deadline import Deadline, bounded
from verification.errors import NotPermitted, ObserverError, SettingsError
from verification.redaction import redact, redact_and_truncate, register
from verification.settings.observers import keeps_secrets
from verification.settings.units import duration_text

T = TypeVar("T")
Parameters = Mapping[str, str | Sequence[str]]
File = tuple[str, bytes, str]  # its name, what is in it, and of what kind that is

_LARGEST = 20_000_000
_PAGES = 50
_LIMIT_RESETS = ("x-sentry-rate-limit-reset", "x-ratelimit-reset", "ratelimit-reset")
_WRITTEN = {200, 201, 202, 204, 208}  # 208: Sentry had it already
_BROKEN = {500, 502, 503, 504}
_PAUSES = (0.3, 1.0)  # a server error is asked about twice more


class Refused(ObserverError):
    """The API refused a write (400, 422): nothing was written."""


class MaybeTaken(ObserverError):
    """Whether a write took effect is not known: look it up before it is repeated."""


@dataclass(frozen=True, slots=True)
class System:
    """An outside system: name, address, and the variable that holds its token. `scopes` tell how a refusal is mended.

    `other_hosts`: those beside its own to which the token may go, such as one that takes files.
    """

    name: str
    url: str
    variable: str = ""
    scopes: str = ""
    scheme: str = "Bearer "
    other_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """A successful answer."""

    question: str
    headers: httpx.Headers
    body: bytes

    def read(self, shape: type[T]) -> T:
        """The body as `shape`. Raises ObserverError when it is something else."""
        try:
            return TypeAdapter(shape).validate_json(self.body)
        except ValidationError as error:
            kind = self.headers.get("content-type", "no content type").partition(";")[0]
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise ObserverError(
                f"{self.question}: the answer ({kind}) has an unexpected shape: "
                f"{place + ': ' if place else ''}{first['msg']}; it begins {redact_and_truncate(self.body)!r}",
                "Is the address that of the API? Look at it in deployment.toml.",
            ) from None


class WebApi:
    """HTTP client of one system's JSON API. `timeout` (seconds) bounds each request with all its retries and waits.

    A read is repeated after a server error, a write never. Thread-safe. Raises SettingsError for an address to which a
    token must not be sent.
    """

    def __init__(self, system: System, token: str, timeout: float, headers: Mapping[str, str] | None = None) -> None:
        self.system = system
        self._timeout = timeout
        authorization = {"Authorization": f"{system.scheme}{token}"} if token else {}
        if token and not keeps_secrets(system.url):
            raise SettingsError(
                f"{system.name}: the token would be sent to {system.url} in the clear", "Use an https:// address."
            )
        if not token.isascii() or not token.isprintable():
            raise NotPermitted(
                f"{system.name}: {system.variable} holds characters that no token has", f"Set {system.variable} anew."
            )
        self._http = httpx.Client(
            headers={"User-Agent": user_agent(), "Accept": "application/json", **authorization, **(headers or {})},
            timeout=timeout,
            follow_redirects=False,  # a redirect would carry the token elsewhere
        )

    def close(self) -> None:
        """End all connections."""
        self._http.close()

    def get(self, path: str, parameters: Parameters | None = None) -> Reply:
        """`GET path`. Raises ObserverError, NotPermitted."""
        return self._get(path, urlencode(parameters or {}, doseq=True))

    def pages(self, path: str, parameters: Parameters) -> Iterator[Reply]:
        """`GET path`, and the pages after it as the Link header names them. Raises ObserverError if they do not end."""
        query = urlencode(parameters, doseq=True)
        seen = {query}
        while True:
            reply = self._get(path, query)
            yield reply
            following = next_page(reply.headers.get("link", ""))
            if not following:
                return
            # Its query alone: the page may bear another host's name, to which the token must not go.
            query = urlsplit(following).query
            if query in seen or len(seen) >= _PAGES:
                raise ObserverError(f"{reply.question}: its pages do not end", "Look at the address of the API.")
            seen.add(query)

    def items(self, path: str, parameters: Parameters, shape: type[T]) -> Iterator[T]:
        """What all pages list, each of it as `shape`. Raises as `pages` and `Reply.read` do."""
        for page in self.pages(path, parameters):
            yield from page.read(list[shape])  # type: ignore[valid-type]

    def post(self, path: str, body: Mapping[str, object]) -> Reply:
        """`POST path` with a JSON body. Raises as `write` does."""
        return self.write("POST", path, body)

    def write(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        content: bytes | None = None,
        form: Mapping[str, File] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """`method path` with a JSON body, `content` as it is, or files in a form.

        `path` may be a whole address that the system itself named. It is sent again only where a rate limit kept it
        from being taken. Raises Refused, MaybeTaken, NotPermitted, ObserverError (it did not arrive).
        """
        question, address = f"{self.system.name} {method} {urlsplit(path).path}", self._address(path)
        request = self._http.build_request(method, address, json=body, content=content, files=form, headers=headers)
        response = self._answered(request, question)
        said = f": {_said(response.content)}" if response.content else ""
        if response.status_code in {400, 422}:
            raise Refused(f"{question}: refused ({response.status_code}){said}", "Look at what was sent.")
        if response.status_code >= 500:
            raise MaybeTaken(f"{question}: status {response.status_code}{said}", self._look())
        if response.status_code not in _WRITTEN and not (method == "DELETE" and response.status_code == 404):
            self._must_be_good(response, question)
        return Reply(question, response.headers, response.content)

    def _address(self, path: str) -> str:
        if path.startswith("/"):
            return f"{self.system.url}{path}"
        own, named = httpx.URL(self.system.url), urlsplit(path)
        hosts = {("https", host) for host in self.system.other_hosts} | {(own.scheme, own.netloc.decode())}
        if (named.scheme, named.netloc.removesuffix(":443")) not in hosts:
            raise ObserverError(f"{self.system.name} names an address that is not its own: {redact_and_truncate(path)}")
        return path

    def _get(self, path: str, query: str) -> Reply:
        request = self._http.build_request("GET", f"{self.system.url}{path}{'?' if query else ''}{query}")
        question = f"{self.system.name} GET {path}"
        response = self._answered(request, question)
        self._must_be_good(response, question)
        return Reply(question, response.headers, response.content)

    def _answered(self, request: httpx.Request, question: str) -> httpx.Response:
        """The answer, once rate limits let it through; a read is repeated after a server error."""
        deadline = Deadline.after(self._timeout)
        pauses = [*_PAUSES] if request.method == "GET" else []
        while True:
            response = self._once(question, request, deadline)
            if response.status_code == 429 or (response.status_code == 403 and _is_used_up(response.headers)):
                pause = _asked_to_wait(response.headers)
            elif response.status_code in _BROKEN and pauses:
                pause = pauses.pop(0)
            else:
                return response
            if not deadline.leaves(pause):
                raise ObserverError(
                    f"{question}: asked to wait {duration_text(round(pause, 1))}, longer than the time that is left",
                    f"Ask again later: the rate limit of {self.system.name} is used up.",
                )
            time.sleep(pause)

    def _once(self, question: str, request: httpx.Request, deadline: Deadline) -> httpx.Response:
        lost = ObserverError if request.method == "GET" else MaybeTaken
        try:
            # httpx bounds each read alone: an answer that drips would have no end.
            return bounded(lambda: self._exchange(request, deadline), deadline.remaining)
        except (TimeoutError, httpx.TimeoutException) as error:
            kind = ObserverError if isinstance(error, httpx.ConnectTimeout) else lost
            raise kind(f"{question}: no complete answer within {duration_text(self._timeout)}", self._look()) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            kind = ObserverError if isinstance(error, httpx.ConnectError) else lost
            raise kind(f"{question}: {redact(str(error)) or type(error).__name__}", self._look()) from None

    def _exchange(self, request: httpx.Request, deadline: Deadline) -> httpx.Response:
        request.extensions["timeout"] = httpx.Timeout(max(deadline.remaining, 0.01)).as_dict()
        response = self._http.send(request, stream=True)
        with closing(response):
            body = b""
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > _LARGEST:
                    raise httpx.DecodingError(f"the answer is larger than {_LARGEST // 1_000_000} MB")
            unpacked = [(k, v) for k, v in response.headers.multi_items() if k.lower() != "content-encoding"]
            return httpx.Response(response.status_code, headers=unpacked, content=body)

    def _must_be_good(self, response: httpx.Response, question: str) -> None:
        code, system = response.status_code, self.system
        if code == 200:
            return
        said = f": {redact_and_truncate(response.content)}" if response.content else ""
        kind, cause, remedy = ObserverError, f"status {code}{said}", self._look()
        if code == 401:
            kind, cause = NotPermitted, f"the token is refused (401){said}"
            remedy = f"Set {system.variable} to a token that is valid."
        elif code == 403:
            kind, cause = NotPermitted, f"not permitted (403){said}"
            remedy = f"Give the token in {system.variable} {system.scopes}."
        elif code in {404, 410}:
            cause = f"there is no such thing (404){said}"
            remedy = "Look at the names in deployment.toml; what a token may not see looks the same: it needs "
            remedy += f"{system.scopes}."
        elif 300 <= code < 400:
            cause = f"redirects ({code}) to {redact_and_truncate(response.headers.get('location', 'nowhere'))}"
            remedy = "Put the right address or name into deployment.toml: a token is not sent on."
        raise kind(f"{question}: {cause}", remedy)

    def _look(self) -> str:
        return f"Is {self.system.name} up, and reachable from here at {self.system.url}?"


def token_of(variables: Mapping[str, str], system: System) -> str:
    """The token in the system's variable, kept secret from now on. Raises NotPermitted when there is none."""
    token = variables.get(system.variable, "").strip()
    if not token:
        raise NotPermitted(
            f"{system.name} cannot be asked: the environment variable {system.variable} is not set",
            f"Set {system.variable} to a token with {system.scopes}.",
        )
    register(token)
    return token


def next_page(link: str) -> str:
    """The address of the next page in a Link header; empty on the last. Reads what some servers get wrong as well."""
    for part in link.split("<")[1:]:
        address, _, attributes = part.partition(">")
        words = attributes.replace("'", '"').replace(" ", "").lower()
        if 'rel="next"' in words or "rel=next" in words:
            return "" if 'results="false"' in words or "results=false" in words else address.strip()
    return ""


def _is_used_up(headers: httpx.Headers) -> bool:
    return headers.get("x-ratelimit-remaining") == "0" or "retry-after" in headers


def _asked_to_wait(headers: httpx.Headers) -> float:
    """Seconds until the rate limit is lifted, as far as the answer says."""
    wait = headers.get("retry-after", "")
    try:
        if wait.isdecimal():
            return max(float(wait), 0.1)
        until = next((float(headers[name]) for name in _LIMIT_RESETS if name in headers), None)
        moment = parsedate_to_datetime(wait).timestamp() if wait else until
    except (ValueError, TypeError):
        return 1.0
    return 1.0 if moment is None else max(moment - time.time(), 0.1)


def _said(body: bytes) -> str:
    """The error message in a JSON body, which stands behind its first words; else the beginning of the body."""
    try:
        answer = json.loads(body)
    except ValueError:
        return redact_and_truncate(body)
    parts = [answer.get("message"), answer.get("errors")] if isinstance(answer, dict) else []
    return redact_and_truncate("; ".join(str(part) for part in parts if part)) or redact_and_truncate(body)
