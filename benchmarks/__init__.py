"""What the README claims about speed, measured anew: `python -m benchmarks`."""
