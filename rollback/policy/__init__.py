"""Whether a rollback is carried out: facts, guards, and the decision."""
