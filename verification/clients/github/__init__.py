"""GitHub's REST API: issues, deployments, releases, the deploy workflow."""
