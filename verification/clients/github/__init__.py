"""GitHub's REST API: repository, workflow runs, deployments, issues and releases."""
