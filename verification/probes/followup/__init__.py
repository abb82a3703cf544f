"""Probes of what comes once a deployment is through."""
