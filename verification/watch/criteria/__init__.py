"""What is watched after a deployment: samples come in, and each criterion says how it stands."""
