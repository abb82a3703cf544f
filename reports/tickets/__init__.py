"""What others are given of a run: deploy tickets, the job's summary, the thread in Slack."""
