"""What outlives a run, and brings to its end what a killed one left undone."""
