"""The watch after a deployment: sources, criteria, and what the watch came to."""
