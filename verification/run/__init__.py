"""One run: what it knows and holds open, and what its probes are given."""
