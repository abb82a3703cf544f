"""Probes of the service's health and of its certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from verification.errors import SettingsError
from verification.probe import probe
from verification.settings.model import Settings

if TYPE_CHECKING:
    from verification.clients.service.answer import Answer
    from verification.clients.service.certificate import Certificate
    from verification.clients.service.client import Service

T = TypeVar("T")


def given(table: T | None, name: str) -> T:
    """`table`, if the file has it. Raises SettingsError; criteria that need it are deselected before that."""
    if table is None:
        raise SettingsError(f"{name} is not configured", f"Add a table [{name}] to deployment.toml.")
    return table


@probe
def basic_health(service: Service, settings: Settings) -> Answer:
    """`GET /health`"""
    return service.get(given(settings.health.basic, "health.basic").path)


@probe
def readiness(service: Service, settings: Settings) -> Answer:
    """`GET /health/ready`"""
    return service.get(given(settings.health.readiness, "health.readiness").path)


@probe
def deep_health(service: Service, settings: Settings) -> Answer:
    """`GET /health/deep`"""
    return service.get(given(settings.health.deep, "health.deep").path)


@probe
def certificate(settings: Settings) -> Certificate:
    """The certificate that users see."""
    from verification.clients.service.certificate import certificate as look_at

    target = settings.target
    return look_at(target.certificate_url or target.url, target.ca_file, settings.smoke.timeout)
