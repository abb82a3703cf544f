"""Which exception a request without an answer is: the service's failure, or the observer's.

Once a connection stands (with TLS, where there is TLS), silence or a broken answer is the service's (`ServiceError`). A
name that does not resolve, no route, or no connection, refused or not, says more about the network between us, or this
machine: Google's front end accepts a connection whatever the revision does, and no other revision would mend it
(`ObserverError`). A certificate that is not trusted is bad for users, but TLS ends before any revision: it fails and
never rolls back (`NotRevisionRelated`). So does whatever another host does, which the service only named.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from urllib.request import getproxies, proxy_bypass

import httpx

from verification.clients.service.answer import Answer
from verification.errors import NotRevisionRelated, ObserverError, ServiceError, VerificationError

_UNREACHED = "Nobody answers there: look at the url in deployment.toml, and at what may filter connections from here."
_NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN}
_BROKEN_OFF = (ssl.SSLEOFError, ssl.SSLZeroReturnError)  # how it ended is a matter of the moment


def blamed(error: Exception, url: httpx.URL, question: str, limit: str) -> VerificationError:
    """`error`, met when asking `url`, as the exception of the side whose failure it is; `limit` is the time it had."""
    return _blame_proxy(error, url) or _unproxied(error, question, limit)


def not_the_revisions(failed: Answer, host: str) -> Answer:
    """The answer of a `host` that is not the service's: bad for users where it is bad, whatever the revision is."""
    problem = failed.problem
    if problem is None and failed.code is not None and failed.code >= 400:
        problem = ServiceError(f"{failed.question}: answered {failed.code}")
    if not isinstance(problem, ServiceError):
        return failed
    return replace(failed, problem=NotRevisionRelated(f"{problem.cause} (by {host}, which is not the service's)"))


def _blame_proxy(error: Exception, url: httpx.URL) -> ObserverError | None:
    """What went wrong on the way to a proxy of ours says nothing about the service behind it."""
    if not isinstance(error, (httpx.ConnectError, httpx.ProxyError)):
        return None
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(url.host):
        return None
    words = f"{url.scheme.upper()}_PROXY is set, and the way through that proxy failed: {error}"
    return ObserverError(words, "Mend the proxy, or name the service's host in NO_PROXY.")


def _unproxied(error: Exception, question: str, limit: str) -> VerificationError:
    causes = list(_causes(error))
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return ObserverError(
            f"{question}: the host name does not resolve", "Look at the url in deployment.toml and at the DNS here."
        )
    if isinstance(error, httpx.ConnectTimeout) or any(isinstance(c, OSError) and c.errno in _NO_ROUTE for c in causes):
        return ObserverError(
            f"{question}: no connection within {limit}", "Look at the network between here and the service."
        )
    tls = next((cause for cause in causes if isinstance(cause, ssl.SSLError)), None)
    if tls is not None and not isinstance(tls, _BROKEN_OFF):
        reason = tls.verify_message if isinstance(tls, ssl.SSLCertVerificationError) else tls.reason or str(tls)
        # Without a connection it is the front door's (or this machine's idea of whom to trust), not the revision's.
        kind = NotRevisionRelated if isinstance(error, httpx.ConnectError) else ServiceError
        return kind(f"{question}: no trusted TLS connection: {reason}")
    if isinstance(error, httpx.ConnectError):
        if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
            return ObserverError(f"{question}: connection refused", _UNREACHED)
        reason = next((str(cause) for cause in causes if isinstance(cause, OSError) and cause.errno), str(error))
        return ObserverError(f"{question}: no connection could be made: {reason}", "Look at this machine first.")
    return ServiceError(f"{question}: {str(error) or type(error).__name__}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        cause = pending.pop()
        if cause is None or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        pending += [
            cause.__cause__,
            cause.__context__,
            *(cause.exceptions if isinstance(cause, BaseExceptionGroup) else ()),
        ]
