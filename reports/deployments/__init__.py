"""All deployments together, for people and programs: `python -m reports log` and `metrics`."""
