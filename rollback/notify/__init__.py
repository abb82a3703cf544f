"""Tell people of a rollback: who, where, and never twice."""
