"""The trackers of incidents and tickets: PagerDuty, Statuspage, Jira."""
