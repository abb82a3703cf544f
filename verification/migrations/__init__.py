"""Migrations: read without running them, rehearsed on a copy, and backed up before they run for good."""
