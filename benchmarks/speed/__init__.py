"""How long starting, collecting, a phase and its report take."""
