"""The sandbox's rates and delays: users' requests, metric samples, ingest."""

from __future__ import annotations

from dataclasses import dataclass

LARGEST_RPM = 6000  # what one process can send to itself


@dataclass(frozen=True, slots=True)
class Timing:
    """Users' requests a minute; Cloud Monitoring's sampling, and its and Cloud Logging's delay, in seconds.

    The vendor's are 60 s and up to 180 s; its metric descriptors say what they are here.
    """

    users_rpm: int = 0
    sample_period: float = 1.0
    ingest_delay: float = 0.5
