"""Redactors that know the secrets of a test."""

from __future__ import annotations

from verification.redaction import Redactor


def redactor(*secrets: str) -> Redactor:
    made = Redactor()
    for secret in secrets:
        made.register(secret)
    return made


MEDIA = "https://cdn.example/live/master.m3u8"
