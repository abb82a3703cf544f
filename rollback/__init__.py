"""Undo a bad release: what served before, whether to go back, the ways to do so, the proof, and who is called."""
