"""A sandbox that stands for a real deployment, reached by its addresses (`sandbox = false`), and what is seen of it."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks import web
from benchmarks.blame.cases import Case, Row
from benchmarks.figure import BenchmarkError
from benchmarks.matrix import patient
from benchmarks.programs import ROOT
from rollback.context import history_in
from rollback.evidence.control_tag import is_control_tag
from verification.clients.google.cloud_run import CloudRun
from verification.clients.google.cloud_run_state import ServiceState
from verification.deadline import Deadline, poll
from verification.local_sandbox.addresses import DeploymentNote
from verification.local_sandbox.sandbox import Sandbox
from verification.settings.model import Role

ENVIRONMENT = "live"
TIMEOUT = 6.0  # seconds for one question of the suite's
_SETTLES_WITHIN = 20.0
_USERS_WITHIN = 30.0
_ASKED = 3  # times, of which all must fail for what "still fails"
_LATEST = {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}
_REPORTED = '[environments.live.health.reported_revision]\npath = "/health/deep"\nfield = "revision"\n'
_COMPRESSED = {
    'retry_after = "1s"': f'retry_after = "1s"\ntimeout = "{TIMEOUT:g}s"\nconfirm_within = "8s"',
    'shift_within = "20s"': 'shift_within = "8s"\nstrategies = ["cloud_run"]\ncontrol_within = "7s"',
    'verify_within = "20s"': 'verify_within = "8s"',
}


@dataclass(frozen=True, slots=True)
class Where:
    """The addresses that a deployment file names; those of the sandbox, or of a relay before it."""

    url: str
    api: str


class World:
    """A sandbox, as its operator and its users see it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.there = sandbox.addresses

    @property
    def url(self) -> str:
        """The address of production."""
        return self.there.environments["production"].url

    @property
    def api(self) -> str:
        """The address of Cloud Run's API."""
        return self.there.cloud_run.rest

    def put_right(self) -> str:
        """No fault in force, no tag, and a healthy revision that has users. Answers with its name."""
        self.sandbox.plant(())
        for role in ("production", "staging"):
            self.follow_latest(role)
        note = self.release()
        self.meets_users(note.current)
        return note.current

    def release(self, fault: str = "", role: Role = "production") -> DeploymentNote:
        """Deploy a revision, of a commit of its own."""
        return self.sandbox.release([fault] if fault else [], role, secrets.token_hex(20))

    def follow_latest(self, role: Role = "production") -> None:
        """Let all traffic follow deployments, without a tag."""
        self._send([_LATEST], role)

    def pin(self, revision: str) -> None:
        """Send all of production's traffic to `revision`, as a person does."""
        self._send([{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": revision, "percent": 100}])

    def meets_users(self, revision: str, at_least: int = 1) -> None:
        """Wait until `revision` has answered so many users more."""
        before = self._answered(revision)
        if not poll(lambda: self._answered(revision) >= before + at_least, Deadline.after(_USERS_WITHIN), 0.05):
            raise BenchmarkError(f"{revision} met no users within {_USERS_WITHIN:g} s")

    def observed(self, output: Path, role: Role = "production") -> None:
        """Have the record of all runs below `output` know what serves now."""
        service = self.state(role)
        created = CloudRun(self.sandbox.cloud_run(role)).revision(str(service.sole_revision)).created
        history_in(output).observe(self.sandbox.cloud_run(role), str(service.sole_revision), created)

    def state(self, role: Role = "production") -> ServiceState:
        """The service, once nothing is under way."""
        return CloudRun(self.sandbox.cloud_run(role)).settled_service(_SETTLES_WITHIN)

    def serving(self, role: Role = "production") -> set[str]:
        """What serves, once nothing is under way."""
        return set(self.state(role).shares)

    def tags(self) -> set[str]:
        """The tags of both services."""
        states = (self.state(role) for role in ("production", "staging"))
        return {line.tag for state in states for line in state.lines if line.tag}

    def moves(self, role: Role) -> int:
        """How often the role's traffic was moved so far."""
        address = f"{self.there.operator}/served"
        answer = web.get(address, params={"environment": role}, timeout=10)
        return int(answer.raise_for_status().json()["moves"])

    def calls(self) -> int:
        """How often people were called in Slack."""
        page = web.get(f"{self.there.operator}/slack", timeout=10).raise_for_status().json()
        return sum(len(one["messages"]) for one in page["channels"] if one["name"].endswith("incidents"))

    def variables(self, previous: str) -> dict[str, str]:
        """The run's environment: what a CI system gives, and `previous`, if the deploy workflow noted it."""
        given = self.sandbox.variables({})
        return {**given, **({"PREVIOUS_REVISION": previous} if previous else {})}

    def still_fails(self, trigger: str, url: str, case: Case) -> bool:
        """Whether who asks at `url` from outside what `trigger` is about gets a bad answer each time."""
        asks = _questions(case, self.there.smoke_user.model_dump()).get(trigger, ())
        return any(all(not _is_good(one, url) for _ in range(_ASKED)) for one in asks)

    def _send(self, lines: list[dict[str, object]], role: Role = "production") -> None:
        self.state(role)
        table = self.sandbox.cloud_run(role)
        name = f"projects/{table.project}/locations/{table.region}/services/{table.service}"
        address = f"{self.api}/v2/{name}"
        answer = web.patch(address, params={"updateMask": "traffic"}, json={"traffic": lines}, timeout=10)
        answer.raise_for_status()
        self.state(role)

    def _answered(self, revision: str) -> int:
        address = f"{self.there.operator}/served"
        answer = web.get(address, params={"environment": "production"}, timeout=10).raise_for_status().json()
        counts: Mapping[str, int] = answer["counts"].get(revision, {})
        return sum(counts.values())


def deployment_file(world: World, where: Where, case: Case) -> str:
    """A deployment.toml whose environment `live` is the sandbox's, with the sandbox's compressed times."""
    text = (ROOT / "deployment.toml").read_text(encoding="utf-8").replace("environments.sandbox", "environments.live")
    there, production = world.there, world.there.environments["production"]
    table = world.sandbox.cloud_run("staging" if case.row is Row.OTHER_SERVICE else "production")
    place = f'url = "{where.url}"\ncertificate_url = "{production.tls_url}"\nca_file = "{there.ca_file}"'
    changes = {
        'roles = ["staging", "production"]\nsandbox = true': f'roles = ["production"]\n{place}',
        'canary_within = "3s"': f'canary_within = "3s"\nurl = "{there.sentry.url}"',
        'repository = "$GITHUB_REPOSITORY"': f'repository = "{there.github.repository}"\nurl = "{there.github.url}"',
        'incidents = "#incidents"': f'incidents = "#incidents"\nurl = "{there.slack.url}/api"',
        'priorities = ["P0", "P1"] }': f'priorities = ["P0", "P1"], url = "{there.pagerduty.url}" }}',
        'severity = "critical" }': f'severity = "critical", url = "{there.pagerduty.url}" }}',
        'signed_off_by = "nobody: a rehearsal"        # elsewhere a person signs off, by name\n': "",
        **_COMPRESSED,
        **({} if case.names_itself else {_REPORTED: ""}),
        **({'[health.basic]\npath = "/health"': '[health.basic]\npath = "/healthz"'} if _is_misread(case) else {}),
    }
    for old, new in changes.items():
        if text.count(old) != 1:
            raise BenchmarkError(f"deployment.toml has {old!r} {text.count(old)} times")
        text = text.replace(old, new)
    return f"""{patient(text)}
[environments.live.cloud_run]
service = "{table.service}"
region = "{table.region}"
project = "{table.project}"
endpoint = "{where.api}"
monitoring = "{there.monitoring}"
logging = "{there.logging}"
"""


def without_tag_address(body: bytes, instead: str) -> bytes:
    """An answer of Cloud Run's API in which the control's tag has another address."""
    with suppress(ValueError):
        answer = json.loads(body)
        for line in answer.get("trafficStatuses", []):
            if is_control_tag(line.get("tag", "")):
                line["uri"] = instead
                return json.dumps(answer).encode()
    return body


def _is_misread(case: Case) -> bool:
    return case.row is Row.WRONG_PATH


@dataclass(frozen=True, slots=True)
class _Question:
    """A question as a user would put it: a path, what is sent, and what a good answer shows."""

    path: str
    sent: Mapping[str, str] | None = None
    shows: str = ""  # a regular expression


def _questions(case: Case, user: Mapping[str, str]) -> dict[str, tuple[_Question, ...]]:
    """What each trigger is about; those that only many users could answer are not here."""
    basic = _Question("/healthz" if _is_misread(case) else "/health")
    ready, deep = _Question("/health/ready"), _Question("/health/deep", shows=r'^\{"status":\s*"healthy"')
    login = _Question("/api/v1/auth/login", dict(user))
    content, search = _Question("/api/v1/content?limit=10"), _Question("/api/v1/search?q=test")
    return {
        "basic_health": (basic,),
        "readiness": (ready,),
        "deep_health": (deep,),
        "login": (login,),
        "content_listing": (content,),
        "search": (search,),
        "video_playback": (_Question("/api/v1/content?limit=10", shows="stream_url"), _Question("media")),
        "service_stays_healthy": (basic, ready, deep),
        "user_flows_keep_working": (login, content, search),
    }


def _is_good(question: _Question, url: str) -> bool:
    try:
        with web.Client(base_url=url, timeout=TIMEOUT) as client:
            if question.path == "media":
                items = client.get("/api/v1/content?limit=1").raise_for_status().json()["items"]
                return client.get(items[0]["stream_url"]).is_success
            sent = question.sent
            answer = client.post(question.path, json=sent) if sent else client.get(question.path)
            return answer.is_success and re.search(question.shows, answer.text) is not None
    except (httpx.HTTPError, ValueError, LookupError):
        return False
