"""Builds all stand-ins, connects them, and runs them on one event loop."""

from __future__ import annotations

import asyncio
import os
import secrets
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from sandbox.addresses import AddressDocument, CloudRunAddresses, EnvironmentAddresses
from sandbox.backend.app import Backend
from sandbox.backend.checkout import checkout_or_none
from sandbox.backend.configuration import Configuration, upstreams_app
from sandbox.backend.database import DeadAddress, SlowProxy, mongodb_uri
from sandbox.backend.synthetic_users import SyntheticUsers
from sandbox.faults import COLD_START
from sandbox.github.model import seed_deployments
from sandbox.github.runs import DeployRunner
from sandbox.google.cloud_logging import CloudLoggingApi
from sandbox.google.cloud_monitoring import CloudMonitoringApi
from sandbox.google.cloud_run_grpc import start_grpc
from sandbox.google.cloud_run_rest import rest_app
from sandbox.google.gcloud import gcloud_environment
from sandbox.operator import OperatorApi
from sandbox.platform.certificates import make_certificates
from sandbox.platform.control_plane import ControlPlane
from sandbox.platform.front_end import Wall
from sandbox.platform.ingress import Ingress
from sandbox.platform.listener import Listener
from sandbox.platform.log_store import LogStore
from sandbox.platform.model import CloudRunService
from sandbox.platform.runtime import RevisionRuntime
from sandbox.platform.seed_revisions import seed
from sandbox.platform.tasks import TaskSet
from sandbox.platform.traffic_log import TrafficLog, seed_past
from sandbox.sentry.app import SentryApp
from sandbox.sentry.history import seed_sentry
from sandbox.timing import INGEST_DELAY, SAMPLE_PERIOD
from sandbox.vendors import Vendors

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.backend.database import Database, User
    from sandbox.platform.runtime import ContainerHost


USUAL_RPM = 600  # what the past was like, where nobody says
PROJECT, REGION = "sandbox-project", "us-east1"
SERVICES = {"staging": "bayit-plus-backend-staging", "production": "bayit-plus-backend"}


class World:
    """All servers of the sandbox. `directory` is for its files; whoever made it removes it. Use within the loop."""

    def __init__(self, directory: Path, database: Database, smoke_user: User, users_rpm: int) -> None:
        self._database = database
        self._users_rpm = users_rpm
        self._traffic = TrafficLog(SAMPLE_PERIOD, INGEST_DELAY)
        self._smoke_user = smoke_user
        self._certificates = make_certificates(directory)
        self._checkout = checkout_or_none(directory / "checkout")
        self._gcloud_directory = directory / "gcloud"
        self._gcloud_directory.mkdir()
        self._closing = AsyncExitStack()
        self._tasks = TaskSet()
        self._dead_database = DeadAddress()
        self._slow_database: SlowProxy | None = None
        self._logs = LogStore(INGEST_DELAY)
        self._runtime = RevisionRuntime(self._backend, self._logs, self._cold_start)
        self._control = ControlPlane(self._runtime.start, PROJECT, REGION)
        self._monitoring = CloudMonitoringApi(self._traffic, PROJECT, REGION, self._control.faults)
        self._ingresses: dict[str, Ingress] = {}  # by environment, as the next two
        self._http: dict[str, Listener] = {}
        self._https: dict[str, Listener] = {}
        self._tags: dict[tuple[str, str], Listener] = {}  # by service and tag
        self._upstreams = Listener(upstreams_app())
        logging = CloudLoggingApi(self._logs, PROJECT, REGION, self._control.faults)
        self._cloud_run = Listener(rest_app(self._control, logging.app()))
        self._sentry = SentryApp(self._control.faults, SERVICES)
        self._sentry_listener = Listener(self._sentry)
        self._runner = DeployRunner(self._control, SERVICES["production"])
        self._vendors = Vendors(self._control.faults, self._runner)
        candidate = self._checkout.candidate if self._checkout else ""
        operator = OperatorApi(
            self._control, self._ingresses, self.document, self._sentry, self._vendors, self._set_users, candidate
        )
        self._operator = Listener(operator.app())
        self._grpc_port = 0

    async def start(self, database_started: asyncio.Future[None]) -> None:
        """Bring everything up. The database is starting meanwhile, in a thread, and is waited for last."""
        self._closing.callback(self._dead_database.close)
        await self._open(self._sentry_listener)  # closed after the revisions, which still have something to report then
        self._closing.push_async_callback(self._runtime.close)
        self._closing.push_async_callback(self._control.close)
        self._closing.push_async_callback(self._runner.close)
        for environment, name in SERVICES.items():
            self._add_service(environment, name)
        self._control.on_change = self._changed
        grpc_server, self._grpc_port = await start_grpc(self._control, self._monitoring.handler())
        self._closing.push_async_callback(grpc_server.stop, None)
        by_name = (self._http, self._https, self._vendors.listeners)
        fronts = [listener for listeners in by_name for listener in listeners.values()]
        for listener in (self._upstreams, self._cloud_run, *fronts, self._operator):
            await self._open(listener)
        latest = {name: ingress.service.deployments[-1] for name, ingress in self._ingresses.items()}
        seed_sentry(self._sentry.store, {name: deployment.commit for name, deployment in latest.items()})
        seed_deployments(self._vendors.github.repository, latest)
        self._vendors.github.actions.note_past(latest["production"].commit, latest["production"].at)
        import sandbox.backend.sentry_client  # noqa: F401  # slow, and the database is still computing anyway

        await database_started
        self._slow_database = SlowProxy(self._database.port)
        await self._slow_database.start()
        self._closing.push_async_callback(self._slow_database.stop)
        for service in self._control.services.values():  # warm, so that the first request is like any other
            await self._runtime.start(service.revisions[service.latest_ready])
        self._closing.push_async_callback(self._users.close)
        self._users.start()
        self._tasks.start(self._sample())

    async def stop(self) -> None:
        """End everything at once, running requests included."""
        await self._tasks.cancel()
        await self._closing.aclose()

    def document(self) -> AddressDocument:
        """Every address, and the latest deployments as of now."""
        return AddressDocument(
            pid=os.getpid(),
            operator=self._operator.url,
            project=PROJECT,
            region=REGION,
            cloud_run=CloudRunAddresses(self._cloud_run.url, f"127.0.0.1:{self._grpc_port}", self._cloud_run.url),
            environments={environment: self._environment(environment) for environment in SERVICES},
            monitoring=f"127.0.0.1:{self._grpc_port}",
            logging=self._cloud_run.url,
            vendors={**self._vendors.addresses(), "sentry": self._sentry.address(self._sentry_listener.url)},
            ca_file=str(self._certificates.ca_file),
            checkout=str(self._checkout.path) if self._checkout else "",
            smoke_user=self._smoke_user,
            gcloud_env=gcloud_environment("127.0.0.1", self._cloud_run.port, PROJECT, REGION)
            | {"CLOUDSDK_CONFIG": str(self._gcloud_directory)},
        )

    def _environment(self, environment: str) -> EnvironmentAddresses:
        service = self._ingresses[environment].service
        return EnvironmentAddresses(
            service=service.name,
            url=self._http[environment].url,
            tls_url=self._https[environment].url,
            mongodb=mongodb_uri(self._database.port, environment),
            tags={line.tag: self._tags[service.name, line.tag].url for line in service.serving if line.tag},
            deployment=service.deployments[-1].as_json(),
        )

    def _commit_of(self, environment: str) -> str:
        """What runs at the start: staging has the candidate already, production the commit before it."""
        if self._checkout is None:
            return secrets.token_hex(20)
        return self._checkout.candidate if environment == "staging" else self._checkout.deployed

    def _add_service(self, environment: str, name: str) -> None:
        service = self._control.services[name] = CloudRunService(name, environment)
        faults = self._control.faults
        ingress = Ingress(service, self._control.route, self._runtime.origin, self._traffic, self._logs, faults)
        self._closing.push_async_callback(ingress.close)
        self._ingresses[environment] = ingress
        self._http[environment] = Listener(Wall(ingress.app(), faults))
        self._https[environment] = Listener(Wall(ingress.app(), faults), self._certificates)
        service.url = self._http[environment].url
        service.urls = (service.url, self._https[environment].url)
        serving = seed(service, self._commit_of(environment))
        if environment == "production":
            seed_past(self._traffic, name, serving.name, self._users_rpm or USUAL_RPM)
            self._users = SyntheticUsers(
                service.url, self._database.viewer, self._users_rpm, lambda: self._share_of_users(name)
            )

    async def _set_users(self, rpm: int) -> None:
        await self._users.set_rpm(rpm)

    def _cold_start(self) -> float:
        """How much longer than here a container takes to start (the fault cold-start)."""
        return COLD_START if "cold-start" in self._control.faults else 0.0

    def _share_of_users(self, service: str) -> float:
        """The share of its users that come, as the revisions are that they would come to (the fault traffic-drop)."""
        lines = self._control.services[service].serving
        return 1 - sum(0.9 * line.percent / 100 for line in lines if self._runtime.has(line.revision, "traffic-drop"))

    async def _open(self, listener: Listener) -> None:
        self._closing.push_async_callback(listener.stop)
        await listener.start()

    async def _sample(self) -> None:
        """Note who has an instance, often enough that no sampling period goes by without."""
        while True:
            for ingress in self._ingresses.values():
                for revision in self._runtime.running(ingress.service):
                    self._traffic.idle(ingress.service.name, revision)
            await asyncio.sleep(SAMPLE_PERIOD)

    def _changed(self, service: CloudRunService) -> None:
        """Give new tags an address, and let containers go that nobody can reach any more."""
        self._runtime.scale(service)
        ingress = self._ingresses[service.environment]
        for tag in sorted({line.tag for line in service.serving}):
            if tag and (service.name, tag) not in self._tags:
                listener = Listener(ingress.app(tag))
                self._tags[service.name, tag] = listener
                self._control.tag_urls[service.name, tag] = listener.url
                self._tasks.start(self._open(listener))

    def _backend(self, host: ContainerHost) -> Backend:
        """The container of a revision."""
        environment = self._control.services[host.revision.service].environment
        assert self._slow_database is not None
        configuration = Configuration(
            host,
            self._control.faults,
            self._smoke_user.email,
            environment,
            mongodb=mongodb_uri(self._database.port, environment),
            mongodb_slow=mongodb_uri(self._slow_database.port, environment),
            mongodb_dead=mongodb_uri(self._dead_database.port, environment),
            upstreams=self._upstreams.url,
            sentry_dsn=self._sentry.dsn(self._sentry_listener.url, environment),
        )
        return Backend(configuration)
