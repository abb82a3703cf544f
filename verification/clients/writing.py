"""Tell an outside system something: one request, one answer, and a deadline for both.

Nothing is sent twice here: whoever writes looks up first what is there already.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx

from verification.clients.service.client import user_agent
from verification.clients.web_api import Reply, System
from verification.deadline import bounded
from verification.errors import NotPermitted, ObserverError, SettingsError
from verification.redaction import redact
from verification.settings.observers import keeps_secrets
from verification.settings.units import duration_text

_SNIPPET = 120
# GitHub takes files at a host of its own; a token goes nowhere else.
_ALSO = {"api.github.com": "uploads.github.com"}


class Writer:
    """Writes to one system. Each request ends within `timeout` seconds, and raises ObserverError or NotPermitted."""

    def __init__(self, system: System, headers: Mapping[str, str], timeout: float) -> None:
        if not keeps_secrets(system.url):
            raise SettingsError(
                f"{system.name}: the token would be sent to {system.url} in the clear", "Use an https:// address."
            )
        self._system = system
        self._timeout = timeout
        self._http = httpx.Client(
            headers={"User-Agent": user_agent(), "Accept": "application/json", **headers},
            timeout=timeout,
            follow_redirects=False,
        )

    def close(self) -> None:
        """End all connections."""
        self._http.close()

    def json(self, method: str, path: str, body: Mapping[str, object]) -> Reply:
        """`method path` with a JSON body."""
        return self._send(self._http.build_request(method, self._at(path), json=body))

    def content(self, path: str, content: bytes, kind: str) -> Reply:
        """`POST path` with a file as it is."""
        headers = {"Content-Type": kind}
        return self._send(self._http.build_request("POST", self._at(path), content=content, headers=headers))

    def file(self, path: str, name: str, content: bytes, kind: str, headers: Mapping[str, str]) -> Reply:
        """`POST path` with a file in a form."""
        files = {"file": (name, content, kind)}
        return self._send(self._http.build_request("POST", self._at(path), files=files, headers=headers))

    def delete(self, path: str) -> None:
        """`DELETE path`; what is gone already is gone."""
        self._send(self._http.build_request("DELETE", self._at(path)), gone=True)

    def _at(self, path: str) -> str:
        """The address of a path, or one that the system named itself, if it is the system's own."""
        if path.startswith("/"):
            return f"{self._system.url}{path}"
        own, host = urlsplit(self._system.url), urlsplit(path)
        same = (host.scheme, host.hostname) == (own.scheme, own.hostname)
        if not same and (host.scheme != "https" or host.hostname != _ALSO.get(own.hostname or "")):
            raise ObserverError(f"{self._system.name} names an address that is not its own: {redact(path)[:_SNIPPET]}")
        return path

    def _send(self, request: httpx.Request, *, gone: bool = False) -> Reply:
        question = f"{self._system.name} {request.method} {request.url.path}"
        try:
            response = bounded(lambda: self._http.send(request), self._timeout)
        except (TimeoutError, httpx.TimeoutException):
            raise ObserverError(
                f"{question}: no complete answer within {duration_text(self._timeout)}", self._look()
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise ObserverError(f"{question}: {redact(str(error)) or type(error).__name__}", self._look()) from None
        code = response.status_code
        if code in {200, 201, 204} or (gone and code == 404):
            return Reply(question, response.headers, response.content)
        said = redact(" ".join(response.text[:16_000].split()))[:_SNIPPET]
        if code in {401, 403}:
            raise NotPermitted(
                f"{question}: not permitted ({code}): {said}",
                f"Give the token in {self._system.variable} {self._system.scopes}.",
            )
        raise ObserverError(f"{question}: status {code}: {said}", self._look())

    def _look(self) -> str:
        return f"Is {self._system.name} up, and reachable from here at {self._system.url}?"
