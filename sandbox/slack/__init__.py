"""Slack: the Web API, and a page on which a person can read the channels."""
