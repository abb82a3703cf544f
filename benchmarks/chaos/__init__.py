"""Whole runs that are killed, interrupted and starved while Cloud Run fails, and what is left of them."""
