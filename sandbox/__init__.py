"""The local stand-in for everything outside: a program of its own (`python -m sandbox`).

It imports nothing of the suite and the suite imports nothing of it; the two meet on the wire.
"""
