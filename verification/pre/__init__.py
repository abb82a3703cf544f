"""The criteria of the phase `pre`: every gate before a deployment."""
