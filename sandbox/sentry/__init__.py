"""Sentry: the ingest that SDKs send to, and the Web API."""
