"""Reach the sandbox: start it as a process of our own, or attach to one that runs (`SANDBOX=<file or address>`).

The suite knows the sandbox only as it knows the outside: by its addresses.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ValidationError

from verification.deadline import Deadline
from verification.errors import ObserverError, SettingsError
from verification.local_sandbox.addresses import Addresses, DeploymentNote
from verification.settings.checkout import CheckoutFolder
from verification.settings.model import Role, Settings
from verification.settings.observers import GitHubSettings, JiraSettings
from verification.settings.service import CloudRunSettings, Target
from verification.settings.tables import Table, is_local

_READY_WITHIN = 30.0
_USERS_RPM = "600"  # enough to be judged by within seconds
_RELEASE_WITHIN = 30.0

AnyTable = TypeVar("AnyTable", bound=Table)


class _KnownFault(BaseModel):
    name: str
    kind: str


class _FaultCatalogue(BaseModel):
    faults: tuple[_KnownFault, ...]


class _Refusal(BaseModel):
    """Why the operator API does not do what it was asked, and which faults there are, if it was about one."""

    detail: str = ""
    error: str = ""
    faults: tuple[str, ...] = ()

    def __str__(self) -> str:
        reason = self.detail or self.error
        return f"{reason}. There are: {', '.join(self.faults)}" if self.faults else reason


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A sandbox that runs: where it is, and what was deployed there last."""

    addresses: Addresses
    ours: bool  # started by this process, and ended with it

    def settings(self, settings: Settings) -> Settings:
        """`settings` with the sandbox's addresses filled in."""
        targets = {role: self._target(role) for role in settings.roles}
        checkout = CheckoutFolder(path=self.addresses.checkout) if self.addresses.checkout else None
        return settings.model_copy(update={"targets": targets, "checkout": checkout, **self._systems(settings)})

    def variables(self, variables: Mapping[str, str]) -> dict[str, str]:
        """`variables` with the sandbox's smoke account and databases instead of real ones."""
        user, environments = self.addresses.smoke_user, self.addresses.environments
        return {
            **variables,
            **self.addresses.gcloud_env,
            "SMOKE_USER_EMAIL": user.email,
            "SMOKE_USER_PASSWORD": user.password,
            "MONGODB_URL": environments["staging"].mongodb,
            "PRODUCTION_MONGODB_URL": environments["production"].mongodb,
            "SENTRY_AUTH_TOKEN": self.addresses.sentry.token,
            "SENTRY_DSN": self.addresses.sentry.dsn["staging"],
            "SLACK_BOT_TOKEN": self.addresses.slack.token,
            "GITHUB_TOKEN": self.addresses.github.token,
            "PAGERDUTY_TOKEN": self.addresses.pagerduty.token,
            "PAGERDUTY_ROUTING_KEY": self.addresses.pagerduty.routing_key,
            "JIRA_EMAIL": self.addresses.jira.email,
            "JIRA_API_TOKEN": self.addresses.jira.token,
        }

    def note(self, role: Role = "production") -> DeploymentNote:
        """The latest deployment's note. Raises ObserverError."""
        return _document(self.addresses.operator).environments[role].deployment

    def cloud_run(self, role: Role) -> CloudRunSettings:
        """Where the role's service is, for the clients of Cloud Run, Logging and Monitoring."""
        there = self.addresses
        return CloudRunSettings(
            service=there.environments[role].service,
            region=there.region,
            project=there.project,
            endpoint=there.cloud_run.rest,
            monitoring=there.monitoring,
            logging=there.logging,
        )

    def plant(self, faults: Sequence[str]) -> None:
        """Break what `faults` name; those that a revision carries are deployed to staging. Raises as `release`."""
        if self.carried_by_revisions(faults):
            self.release(faults, "staging")
        else:
            self._operate("PUT", "faults", {"faults": list(faults)})

    def carried_by_revisions(self, faults: Sequence[str]) -> tuple[str, ...]:
        """Those of `faults` that a revision carries; the others are of an observer or an actor."""
        catalogue = _FaultCatalogue.model_validate_json(self._operate("GET", "faults", None))
        carried = {fault.name for fault in catalogue.faults if fault.kind == "service"}
        return tuple(fault for fault in faults if fault.partition("@")[0] in carried)  # NAME or NAME@8s

    def release(self, faults: Sequence[str], role: Role = "production", commit: str = "") -> DeploymentNote:
        """Deploy a new revision that carries `faults`, of `commit` (empty: of the one that is to be released).

        Raises SettingsError for a fault that the sandbox does not know.
        """
        named = {"commit": commit} if commit else {}
        note = self._operate("POST", "release", {"environment": role, "faults": list(faults), **named})
        return DeploymentNote.model_validate_json(note)

    def _operate(self, method: str, path: str, body: dict[str, object] | None) -> bytes:
        try:
            answer = httpx.request(method, f"{self.addresses.operator}/{path}", json=body, timeout=_RELEASE_WITHIN)
            if answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
                raise SettingsError(f"--fault: {_refusal(answer)}")
            return answer.raise_for_status().content
        except httpx.HTTPError as error:
            raise ObserverError(f"the sandbox does not do as it is told: {error}", "Start it anew.") from None

    def _systems(self, settings: Settings) -> dict[str, Table | None]:
        """The tables of the systems around the service, with the sandbox's addresses."""
        there, incidents, people = self.addresses, settings.incidents, settings.people
        github = settings.github or GitHubSettings(repository=there.github.repository, workflow="Deploy to Production")
        sentry = {"url": there.sentry.url, "organization": there.sentry.organization, "project": there.sentry.project}
        pagerduty = {"url": there.pagerduty.url}
        return {
            "sentry": _updated(settings.sentry, **sentry),
            "slack": _updated(settings.slack, url=f"{there.slack.url}/api"),
            "github": _updated(github, url=there.github.url, repository=there.github.repository),
            "incidents": _updated(incidents, pagerduty=_updated(incidents and incidents.pagerduty, **pagerduty)),
            "people": _updated(people, pagerduty=_updated(people.pagerduty, **pagerduty)),
            "jira": JiraSettings(url=there.jira.url),
        }

    def _target(self, role: Role) -> Target:
        there = self.addresses.environments[role]
        return Target(
            url=there.url,
            certificate_url=there.tls_url,
            ca_file=self.addresses.ca_file,
            cloud_run=self.cloud_run(role),
        )


@contextmanager
def open_sandbox(variables: Mapping[str, str] = os.environ) -> Iterator[Sandbox]:
    """The sandbox of the variable SANDBOX (a file with the address document, or an address); else one of our own.

    Raises SettingsError when it cannot be reached or started. One of our own ends with the block.
    """
    where = variables.get("SANDBOX", "")
    if where:
        yield Sandbox(_attach(where), ours=False)
        return
    with own_sandbox("--users-rpm", _USERS_RPM) as sandbox:
        yield sandbox


@contextmanager
def own_sandbox(*options: str, variables: Mapping[str, str] = os.environ) -> Iterator[Sandbox]:
    """A sandbox in a process of our own, which ends with the block. Raises SettingsError when it does not get ready."""
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox", "--with-parent", str(os.getpid()), *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            cwd=Path(__file__).parents[2],
            env=dict(variables),
            # Ctrl-C in a terminal goes to the whole group; the sandbox must outlive the rollback that follows.
            start_new_session=True,
        )
        try:
            yield Sandbox(_parse(_first_line(process, complaints), "the sandbox's first line"), ours=True)
        finally:
            _end(process)


def _attach(where: str) -> Addresses:
    if where.startswith(("http://", "https://")):
        _must_be_here(where)
        return _document(where)
    try:
        return _parse(Path(where).read_text(encoding="utf-8"), f"SANDBOX={where}")
    except OSError as error:
        raise SettingsError(
            f"SANDBOX={where} is neither an address nor a readable file: {error.strerror}",
            "Start one with `python -m sandbox --announce FILE`, or unset SANDBOX.",
        ) from None


def _document(address: str) -> Addresses:
    try:
        return _parse(httpx.get(address, timeout=5).raise_for_status().text, address)
    except httpx.HTTPError as error:
        raise SettingsError(
            f"no sandbox answers at {address}: {error}", "Start one with `python -m sandbox`."
        ) from None


def _parse(text: str, source: str) -> Addresses:
    try:
        addresses = Addresses.model_validate_json(text)
    except ValidationError as error:
        raise SettingsError(f"{source} is not a sandbox's address document: {error.error_count()} mistakes") from None
    services = [environment.url for environment in addresses.environments.values()]
    for address in (addresses.operator, addresses.cloud_run.rest, *services):
        _must_be_here(address)
    return addresses


def _must_be_here(address: str) -> None:
    if not is_local(urlsplit(address).hostname or ""):
        raise SettingsError(f"{address} is not on this machine", "A sandbox is reached on loopback only.")


def _first_line(process: subprocess.Popen[bytes], complaints: IO[bytes]) -> str:
    assert process.stdout is not None
    deadline = Deadline.after(_READY_WITHIN)
    line = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(deadline.remaining):
                raise SettingsError(
                    f"the sandbox was not ready within {_READY_WITHIN:g} s", "Is this machine very busy?"
                )
            chunk = os.read(process.stdout.fileno(), 65_536)
            if not chunk:
                raise SettingsError(f"the sandbox did not start: {_last_words(complaints)}", "Run `make install`.")
            line += chunk
    return line.decode()


def _last_words(complaints: IO[bytes]) -> str:
    complaints.seek(0)
    return complaints.read().decode(errors="replace").strip().rpartition("\n")[2] or "it ended without a word"


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _refusal(answer: httpx.Response) -> str:
    try:
        return str(_Refusal.model_validate_json(answer.content)) or answer.text[:200]
    except ValidationError:
        return answer.text[:200]


def _updated(table: AnyTable | None, **values: object) -> AnyTable | None:
    return table.model_copy(update=values) if table else None
