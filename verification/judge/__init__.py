"""The judge: from samples to a verdict. Pure mathematics: no I/O and no clock."""
