"""Criteria: identity, selection, order of execution, result."""
