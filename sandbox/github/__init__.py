"""GitHub's REST API for one repository: issues, deployments, releases, the deploy workflow."""
