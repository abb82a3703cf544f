"""Records of runs and deployments: run record, journal, deployment log, and the files beneath them."""
