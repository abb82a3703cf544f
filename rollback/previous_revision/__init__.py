"""Which revision served before: the question on which a rollback stands or falls."""
