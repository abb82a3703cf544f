"""What a run leaves behind: report, verdict, summary."""
