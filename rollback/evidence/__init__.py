"""Whether going back helps, and whether it has helped."""
