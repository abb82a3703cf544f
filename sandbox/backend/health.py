"""The health endpoints of the backend: liveness, readiness, and the state of each dependency."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

import httpx
from pymongo.errors import PyMongoError
from starlette.responses import JSONResponse, Response

from sandbox.platform.listener import plain_transport

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

    from pymongo import AsyncMongoClient
    from starlette.requests import Request

    from sandbox.platform.model import Revision

APP_NAME = "Bayit+ Backend"
# Whatever the machine is busy with, what nobody broke stays below these; a fault is known by its name.
DEGRADED_MS = 8000.0
UPSTREAM_TIMEOUT_SECONDS = 10.0

Status = Literal["healthy", "degraded", "unhealthy"]


@dataclass(frozen=True, slots=True)
class Dependency:
    """The state of one dependency, and how long its answer took."""

    status: Status
    latency_ms: float


class HealthEndpoints:
    """The three endpoints. With the fault `unhealthy` each of them answers 503, whatever the dependencies say.

    `mongo` answers whom to ask now; the stand-ins of the other services are below the address `upstreams`. Latencies
    are measured; whether one is too high is a matter of `faults`, as it would be of the machine's load otherwise.
    """

    def __init__(
        self,
        revision: Revision,
        mongo: Callable[[], AsyncMongoClient[dict[str, object]]],
        upstreams: str,
        faults: AbstractSet[str],
        surroundings: AbstractSet[str] = frozenset(),
    ) -> None:
        self._revision = revision
        self._mongo = mongo
        self._upstreams = upstreams
        self._faults, self._surroundings = faults, surroundings
        self._http = httpx.AsyncClient(transport=plain_transport(), timeout=UPSTREAM_TIMEOUT_SECONDS)

    async def close(self) -> None:
        """End the connections to the upstream services."""
        await self._http.aclose()

    async def live(self, _request: Request) -> Response:
        """GET /health."""
        if self._broken:
            return JSONResponse({"status": "unhealthy", "app": APP_NAME}, 503)
        return JSONResponse({"status": "healthy", "app": APP_NAME})

    async def ready(self, _request: Request) -> Response:
        """GET /health/ready: can this instance serve? It can while the database answers, however slowly."""
        mongodb = await self._mongodb()
        ready = mongodb.status != "unhealthy" and not self._broken
        body = {"status": "ready" if ready else "not_ready", "services": {"mongodb": asdict(mongodb)}}
        return JSONResponse(body, 200 if ready else 503)

    async def deep(self, _request: Request) -> Response:
        """GET /health/deep: every dependency, asked at the same time."""
        slow = "dependency-slow" in self._faults or "dependency-slow-everywhere" in self._surroundings
        of_openai = "openai-slow" if slow else "openai"
        openai_auth = {"Authorization": "Bearer sk-synthetic"}
        mongodb, openai, elevenlabs, pinecone = await asyncio.gather(
            self._mongodb(),
            self._upstream(f"{of_openai}/v1/models", openai_auth, slow=slow),
            self._upstream("elevenlabs/v1/models", {"xi-api-key": "synthetic"}),
            self._upstream("pinecone/indexes", {"Api-Key": "synthetic"}),
        )
        services = {"mongodb": mongodb, "openai": openai, "elevenlabs": elevenlabs, "pinecone": pinecone}
        status: Status = "healthy"
        if self._broken or mongodb.status == "unhealthy":
            status = "unhealthy"
        elif any(dependency.status != "healthy" for dependency in services.values()):
            status = "degraded"
        body = {
            "status": status,
            "app": APP_NAME,
            "revision": self._revision.name,
            "commit": self._revision.commit,
            "services": {name: asdict(dependency) for name, dependency in services.items()},
        }
        return JSONResponse(body, 503 if status == "unhealthy" else 200)

    @property
    def _broken(self) -> bool:
        return "unhealthy" in self._faults

    async def _mongodb(self) -> Dependency:
        started = time.monotonic()
        try:
            await self._mongo().admin.command("ping")
        except PyMongoError:
            return Dependency("unhealthy", _since(started))
        return _answered(_since(started), slow="mongodb-slow" in self._faults)

    async def _upstream(self, path: str, headers: dict[str, str], *, slow: bool = False) -> Dependency:
        started = time.monotonic()
        try:
            (await self._http.get(f"{self._upstreams}/{path}", headers=headers)).raise_for_status()
        except httpx.HTTPError:
            return Dependency("unhealthy", _since(started))
        return _answered(_since(started), slow=slow)


def _answered(latency_ms: float, *, slow: bool) -> Dependency:
    """A dependency that answered; `slow` where a fault makes it so."""
    degraded = slow or latency_ms > DEGRADED_MS
    return Dependency("degraded" if degraded else "healthy", latency_ms)


def _since(started: float) -> float:
    """Milliseconds since a time on the monotonic clock."""
    return round((time.monotonic() - started) * 1000, 1)
