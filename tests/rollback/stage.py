"""A sandbox to roll back in. What it says about Cloud Run it asks plainly, not through the code under test."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import web
from rollback.context import RollbackContext
from rollback.executor import execute
from rollback.preflight import ServingSnapshot, take_snapshot
from rollback.serving_history import ServingHistory
from verification.clients.google.cloud_run import CloudRun, ServiceState
from verification.local_sandbox.addresses import DeploymentNote
from verification.local_sandbox.sandbox import Sandbox
from verification.records.journal import Journal, JournalEntry, JournalView
from verification.records.rollback_plan import PreviousRevisionHint, RollbackPlan
from verification.records.run_record import RollbackResult
from verification.settings.loading import load
from verification.settings.model import Settings

ROOT = Path(__file__).parents[2]
SETTLES_WITHIN = 20.0


def settings_of(sandbox: Sandbox) -> Settings:
    """The sandbox's settings, as patient as a test can be."""
    loaded = sandbox.settings(load(ROOT / "deployment.toml", "sandbox").settings)
    return with_rollback(loaded, shift_within=20.0, verify_within=10.0, metrics_within=0.0)


def with_rollback(settings: Settings, **changes: object) -> Settings:
    """`settings` with some of `[rollback]` changed."""
    return settings.model_copy(update={"rollback": settings.rollback.model_copy(update=changes)})


@dataclass
class Stage:
    """Production in the sandbox, with a journal and a serving record of its own for each test."""

    sandbox: Sandbox
    settings: Settings
    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    journal: Journal = field(init=False)
    history: ServingHistory = field(init=False)
    cloud_run: CloudRun = field(init=False)

    def __post_init__(self) -> None:
        self.journal = Journal(self.folder / "run" / "journal.jsonl")
        self.history = ServingHistory(self.folder / "serving.jsonl")
        self.through(self.sandbox.addresses.cloud_run.rest)

    def through(self, endpoint: str) -> None:
        """Reach Cloud Run at another address."""
        table = self.settings.target.cloud_run
        assert table is not None
        self.cloud_run = CloudRun(table.model_copy(update={"endpoint": endpoint}), timeout=5)

    # What happens around

    def release(self, *faults: str) -> DeploymentNote:
        """Deploy a revision that gets all traffic at once."""
        return self.sandbox.release(faults)

    def put_faults(self, *faults: str) -> None:
        """Have these observer and actor faults in force, and only these."""
        web.put(f"{self.sandbox.addresses.operator}/faults", json={"faults": list(faults)}).raise_for_status()

    def follow_latest(self) -> None:
        """Have all traffic follow the latest deployment, if it does not."""
        if [line["type"] for line in self._settle()["traffic"]] != ["TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"]:
            self.set_traffic({})

    def set_traffic(self, shares: Mapping[str, int]) -> None:
        """Split the traffic as somebody else would; no shares: everything follows the latest."""
        self.set_traffic_at_once(shares)
        self._settle()

    def set_traffic_at_once(self, shares: Mapping[str, int]) -> None:
        """The same, without waiting until it flows."""
        kind = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"
        lines = [{"type": kind, "revision": name, "percent": percent} for name, percent in shares.items()]
        everything = [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}]
        answer = web.patch(
            self.service_address, params={"updateMask": "traffic"}, json={"traffic": lines or everything}
        )
        answer.raise_for_status()

    def ask_as_users(self, questions: int = 12) -> None:
        """Have users answered, and wait until the request log shows it."""
        production = self.sandbox.addresses.environments["production"].url
        agent = f"visitor/{uuid.uuid4()}"
        with web.Client(base_url=production, headers={"User-Agent": agent}, timeout=10) as client:
            for _ in range(questions):
                client.get("/health")
        wanted = f'resource.type="cloud_run_revision" AND httpRequest.userAgent="{agent}"'
        document = {"resourceNames": [f"projects/{self.sandbox.addresses.project}"], "filter": wanted, "pageSize": 1000}
        deadline = time.monotonic() + SETTLES_WITHIN
        while True:
            answer = web.post(f"{self.sandbox.addresses.logging}/v2/entries:list", json=document)
            if len(answer.raise_for_status().json().get("entries", [])) == questions:
                return
            assert time.monotonic() < deadline, "the sandbox's log does not show its requests"
            time.sleep(0.02)

    # What can be seen

    @property
    def serving(self) -> dict[str, int]:
        """The share of each revision that gets requests."""
        document = self._settle()
        latest = document["latestReadyRevision"].rpartition("/")[2]
        shares: dict[str, int] = {}
        for line in document["trafficStatuses"]:
            if line.get("percent"):
                name = line.get("revision") or latest
                shares[name] = shares.get(name, 0) + line["percent"]
        return shares

    @property
    def never_ready(self) -> str:
        """The revision whose container never started."""
        return next(one.name for one in self.cloud_run.revisions(1000) if "-00003-" in one.name)

    @property
    def generation(self) -> int:
        """Counts the writes."""
        return int(self._settle()["generation"])

    @property
    def events(self) -> list[str]:
        """The journal's events, in order."""
        return [entry.event for entry in self.entries]

    @property
    def entries(self) -> list[JournalEntry]:
        """The journal, as it is on disk."""
        return list(JournalView.read(self.journal.path).entries)

    # The code under test

    def context(self, *, dry_run: bool = False, allowed: bool = True) -> RollbackContext:
        """What a rollback acts in."""
        return RollbackContext(
            self.settings, self.cloud_run, self.journal, self.history, self.variables, allowed, dry_run
        )

    def snapshot(
        self, noted: str = "", asked_since: datetime | None = None, before: ServiceState | None = None
    ) -> ServingSnapshot:
        """What is known at the start of a run; `noted` is the deploy workflow's note."""
        hint = PreviousRevisionHint(noted, "the deploy workflow's note") if noted else None
        return take_snapshot(self.context(), hint, asked_since=asked_since, before=before)

    def plan(self, noted: str = "") -> RollbackPlan:
        """What a rollback would do."""
        return self.snapshot(noted).plan

    def roll_back(self, plan: RollbackPlan, *, dry_run: bool = False, allowed: bool = True) -> RollbackResult:
        """Roll back because login failed."""
        return execute(plan, self.context(dry_run=dry_run, allowed=allowed), ("login",))

    @property
    def service_address(self) -> str:
        """Where the v2 API has the service."""
        there = self.sandbox.addresses
        path = f"projects/{there.project}/locations/{there.region}/services/{there.environments['production'].service}"
        return f"{there.cloud_run.rest}/v2/{path}"

    def _settle(self) -> dict[str, Any]:
        deadline = time.monotonic() + SETTLES_WITHIN
        while True:
            document: dict[str, Any] = web.get(self.service_address).raise_for_status().json()
            if not document.get("reconciling"):
                return document
            assert time.monotonic() < deadline, "the sandbox's Cloud Run does not settle"
            time.sleep(0.02)
