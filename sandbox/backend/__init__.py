"""The service that is deployed: a streaming service's backend, its database, its users, its source."""
