"""What is kept of runs and deployments: the run record, the deployment log, the files beneath them."""
