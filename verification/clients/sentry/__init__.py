"""Sentry's Web API: errors, issues and releases."""
