"""Who answered instead of a revision: a front end, a firewall or a proxy, known by its headers and its page.

What they say of a question is not the revision's failure, and users need not have met it: nothing was learned. The one
exception is what Cloud Run says when it has no instance for a request (https://cloud.google.com/run/docs/troubleshooting):
that is how a release looks to its users which does not start, or not fast enough.

`server: Google Frontend` stands in every answer of Cloud Run, whoever made it, as `server: cloudflare` does in all that
come through Cloudflare. So a signature needs more: a header of refusals alone, or the page's own words. Any other page
or JSON is the service's. So is a 5xx: whoever stands in front speaks for a container that has crashed or hangs, such as
Google's load balancer, or Cloudflare with 502, 504 and 520 to 524. Both may as well have lost their own way, which a
control would not meet that is asked at an address of Cloud Run's: hence an error of its own, AnsweredForTheOrigin. And
one is brought about by no container: Cloudflare gets no TLS connection to the service's address, or does not find it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from verification.clients.service.answer import Answer
from verification.errors import AnsweredForTheOrigin, NoInstance, NotPermitted, ObserverError, VerificationError

_TOO_MANY = 429  # says how often this machine asks, not how the revision does
_REFUSALS = frozenset({401, 403, 404, _TOO_MANY})
_NOT_PERMITTED = frozenset({401, 403, 407})
_LESS_OFTEN = "Exempt the suite's user agent from the limit, or ask less often."
_LET_US_IN = "Let the suite's user agent, or the address that it asks from, through."
_FIRST = 4096  # bytes of a page, in which its words stand
_NO_WAY_TO_THE_ORIGIN = frozenset({525, 526, 527, 530})  # no TLS, an untrusted certificate, Railgun, no such origin
_FOR_THE_ORIGIN = frozenset({502, 504, *range(520, 525)})
_TRACE_HEADER = "x-cloud-trace-context"
_GOOGLE = re.compile("^Google Frontend")
_TRACE = re.compile(r"[0-9a-f]{32}", re.ASCII)
_ABSENT = re.compile("^$")  # Cloud Run's trace stands in all that has come from there
_CLOUDFLARE = re.compile("^cloudflare")
# To a client that takes JSON it answers so: https://blog.cloudflare.com/rfc-9457-agent-error-pages/
_CLOUDFLARES_JSON = r'"cloudflare_error":\s*true'


@dataclass(frozen=True, slots=True)
class Signature:
    """How somebody who answers instead of a revision is known; without `codes`, whatever the status is."""

    who: str
    source: str
    remedy: str = _LET_US_IN
    codes: frozenset[int] = _REFUSALS
    headers: Mapping[str, re.Pattern[str]] = field(default_factory=dict)
    page: re.Pattern[str] = re.compile("")

    def fits(self, answer: Answer) -> bool:
        """Whether the answer is theirs."""
        return (
            (not self.codes or answer.code in self.codes)
            and all(pattern.search(answer.headers.get(name, "")) for name, pattern in self.headers.items())
            and self.page.search(_beginning(answer)) is not None
        )


SIGNATURES = (
    Signature(
        "Google's Identity-Aware Proxy (IAP)",
        "https://cloud.google.com/iap/docs/query-parameters-and-headers-howto",
        "Ask at an address that IAP does not guard, or leave the suite's path out of it.",
        codes=frozenset(),
        headers={"x-goog-iap-generated-response": re.compile("^true$")},
    ),
    Signature(
        "Cloud Run's IAM check",
        "https://cloud.google.com/run/docs/troubleshooting#unauthorized-client",
        "Users need roles/run.invoker for allUsers; if they have it by another way, ask by that one.",
        codes=frozenset({401, 403}),
        headers={"server": _GOOGLE},
        page=re.compile("Your client does not have permission to (get URL|the requested URL)"),
    ),
    Signature(
        "Google's front end, which knows no such service or path",
        "https://cloud.google.com/run/docs/troubleshooting#404",
        "Look at the url and the paths in deployment.toml (/healthz is Google's own), and at the service's ingress.",
        codes=frozenset({404}),
        headers={"server": _GOOGLE},
        page=re.compile(
            r"^\s*<html><head>\s.*<h1>Error: Page not found</h1>\s*<h2>The requested URL was not", re.DOTALL
        ),
    ),
    Signature(
        "Google's front end, which knows no such host or path",
        "https://cloud.google.com/run/docs/known-issues",
        "Look at the url and the paths in deployment.toml (/healthz is Google's own), and at the service's ingress.",
        codes=frozenset({404}),
        page=re.compile(r"^\s*<!DOCTYPE html>.*<title>Error 404 \(Not Found\)!!1</title>", re.DOTALL),
    ),
    Signature(
        "Google's load balancer or its firewall, Cloud Armor",
        "https://cloud.google.com/armor/docs/security-policy-overview",
        page=re.compile(
            r'^<!doctype html><meta charset="utf-8"><meta name=viewport content="width=device-width, initial-scale=1">'
            r"<title>(\d{3})</title>\1 "
        ),
    ),
    Signature(
        "Cloudflare",
        "https://developers.cloudflare.com/cloudflare-challenges/challenge-types/challenge-pages/detect-response",
        codes=frozenset(),
        headers={"cf-mitigated": re.compile(".")},
    ),
    Signature(
        "Cloudflare",
        "https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-1xxx-errors/",
        codes=_REFUSALS | {409},
        headers={"server": _CLOUDFLARE, _TRACE_HEADER: _ABSENT},
        page=re.compile(
            r"^error code: 1\d{3}|<title>Attention Required! \| Cloudflare|id=\"cf-error-details\"|" + _CLOUDFLARES_JSON
        ),
    ),
    Signature(
        "Cloudflare, which did not get through",
        "https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-5xx-errors/",
        "Users meet it as well. Look at the zone's DNS record, its SSL/TLS mode, and the certificate at the origin.",
        codes=_NO_WAY_TO_THE_ORIGIN,
        headers={"server": _CLOUDFLARE, _TRACE_HEADER: _ABSENT},
        page=re.compile(r"^error code: (52[567]|530|1\d{3})\s*$|id=\"cf-error-details\"|" + _CLOUDFLARES_JSON),
    ),
    Signature(
        "Cloudflare Access",
        "https://developers.cloudflare.com/cloudflare-one/access-controls/",
        codes=frozenset({302, 303, 307}),
        headers={"location": re.compile(r"^https://[\w-]+\.cloudflareaccess\.com/")},
    ),
    Signature(
        "AWS WAF",
        "https://docs.aws.amazon.com/waf/latest/developerguide/waf-captcha-and-challenge-how-it-works.html",
        codes=frozenset(),
        headers={"x-amzn-waf-action": re.compile(".")},
    ),
    Signature(
        "CloudFront",
        "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/troubleshooting-response-errors.html",
        headers={"server": re.compile("^CloudFront$"), "x-cache": re.compile("^Error from cloudfront")},
    ),
    Signature(
        "Akamai",
        "https://techdocs.akamai.com/property-mgr/docs/identify-deny-reason-codes",
        headers={"server": re.compile("^AkamaiGHost")},
    ),
    Signature(
        "Imperva",
        "https://docs.imperva.com/bundle/cloud-application-security/page/more/error-codes.htm",
        codes=frozenset(),
        headers={"x-iinfo": re.compile(".")},
        page=re.compile("Incapsula incident ID|_Incapsula_Resource"),
    ),
    Signature(
        "a proxy of ours (Squid)",
        "http://www.squid-cache.org/Doc/config/deny_info/",
        "Mend the proxy, or name the service's host in NO_PROXY.",
        codes=frozenset(),
        headers={"x-squid-error": re.compile("^ERR_")},
    ),
    Signature(
        "a proxy of ours",
        "https://www.rfc-editor.org/rfc/rfc9110#status.407",
        "Mend the proxy, or name the service's host in NO_PROXY.",
        codes=frozenset({407}),
    ),
)

# Cloud Run's words to a user for whom it has no instance; its request log is surer (`refuted_by_log`).
_NO_INSTANCE = Signature(
    "Cloud Run",
    "https://cloud.google.com/run/docs/troubleshooting#abort-request",
    codes=frozenset({_TOO_MANY}),
    headers={"server": _GOOGLE},
    page=re.compile(
        r"^\s*(<[^>]*>\s*)*(Rate exceeded\.|The request was aborted because there was no available instance)"
    ),
)


def answered_in_front(answer: Answer) -> VerificationError | None:
    """What it means that somebody else than a revision gave this answer; None where a revision did, or may have."""
    if _NO_INSTANCE.fits(answer):
        words = f"{answer.question}: Cloud Run refused it with 429: it had no available instance"
        return NoInstance(words, _trace_of(answer), answer.observed_at)
    for signature in SIGNATURES:
        if signature.fits(answer):
            kind = NotPermitted if answer.code in _NOT_PERMITTED else ObserverError
            return kind(f"{answer.question}: answered {answer.code} by {signature.who}, no revision", signature.remedy)
    if answer.code == _TOO_MANY:
        return ObserverError(f"{answer.question}: answered 429, too many requests", _LESS_OFTEN)
    if answer.code in _FOR_THE_ORIGIN and _TRACE_HEADER not in answer.headers:
        said = f": {answer.snippet!r}" if answer.body else ""
        return AnsweredForTheOrigin(f"{answer.question}: answered {answer.code}, and not by Cloud Run{said}")
    return None


def _trace_of(answer: Answer) -> str:
    """By which the request log knows the answer; empty where it has none."""
    found = _TRACE.match(answer.headers.get(_TRACE_HEADER, ""))
    return found[0] if found else ""


def _beginning(answer: Answer) -> str:
    return answer.body[:_FIRST].decode("utf-8", "replace")
