"""Probes of the deployment itself: the workflow that made it, and how its revision started."""
