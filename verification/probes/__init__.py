"""The probes that the criteria share, by the system they ask."""
