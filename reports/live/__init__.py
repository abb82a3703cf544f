"""What a terminal or a CI log shows while a run waits."""
