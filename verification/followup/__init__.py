"""Criteria of what comes once a deployment is through (T+15 and later)."""
