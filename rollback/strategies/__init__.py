"""Ways to move all traffic to one revision, and their order."""
