"""The service's source: its clone, its own commands, and the files that they write."""
