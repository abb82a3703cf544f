"""Slack's Web API: messages that are posted once, and channels that are read."""
