"""Undo a bad release: policy, journal, strategies, engine, verification."""
