"""The address document: everything a program needs to know to use the sandbox. Its JSON form is stable."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.backend.database import User
    from sandbox.vendor_api import Json

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class CloudRunAddresses:
    """The Cloud Run APIs. `proxy` takes absolute-form requests, as gcloud sends them to an HTTP proxy."""

    rest: str
    grpc: str  # host:port
    proxy: str


@dataclass(frozen=True, slots=True)
class EnvironmentAddresses:
    """One environment's service, its database, the addresses of its tags and its latest deployment."""

    service: str
    url: str
    tls_url: str
    mongodb: str
    tags: dict[str, str]
    deployment: dict[str, str]  # the latest, as a deploy workflow would have noted it down


@dataclass(frozen=True, slots=True)
class AddressDocument:
    """The whole document. `gcloud_env` is the environment in which an unmodified gcloud talks to the sandbox."""

    pid: int
    operator: str
    project: str
    region: str
    cloud_run: CloudRunAddresses
    environments: dict[str, EnvironmentAddresses]
    monitoring: str  # Cloud Monitoring over gRPC: host:port
    logging: str  # Cloud Logging over HTTP
    vendors: dict[str, Mapping[str, Json]]  # by name, which is the key in the JSON form; see their `address`
    ca_file: str
    checkout: str  # the folder of the service's source; empty where there is no git
    smoke_user: User
    gcloud_env: dict[str, str]

    def as_json(self) -> dict[str, object]:
        """The document as JSON-ready values."""
        values = asdict(self)
        return {"schema": SCHEMA, **values.pop("vendors"), **values}

    def as_line(self) -> str:
        """The document as one line of JSON."""
        return json.dumps(self.as_json(), separators=(",", ":"))
