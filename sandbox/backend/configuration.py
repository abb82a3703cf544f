"""What a container learns from its environment variables: who it is, and where its database and other services are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.backend.upstreams import Upstreams, addresses

if TYPE_CHECKING:
    from sandbox.backend.sentry_client import SentrySettings
    from sandbox.faults import Faults
    from sandbox.platform.model import Revision
    from sandbox.platform.runtime import Host


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where the revisions of one environment find their database and the services they call."""

    mongodb: str
    mongodb_slow: str
    mongodb_dead: str
    upstreams: str
    sentry: SentrySettings


@dataclass(frozen=True, slots=True)
class Configuration:
    """The configuration of one revision; some of its faults are wrong addresses, from when they begin on."""

    revision: Revision
    surroundings: Surroundings
    faults: Faults
    host: Host

    def mongodb_url(self) -> str:
        """Where the database is now."""
        if "mongodb-down" in self.faults:
            return self.surroundings.mongodb_dead
        return self.surroundings.mongodb_slow if "mongodb-slow" in self.faults else self.surroundings.mongodb

    def upstreams(self) -> Upstreams:
        """Where the services that it calls are now."""
        return addresses(self.surroundings.upstreams, openai_slow="dependency-slow" in self.faults)
