"""Clients of the outside systems, in packages and modules of their own, and what they share (`web_api`)."""
