"""Whole runs that something misleads, and whether production moves only where the release is at fault."""
