"""`deployment.toml` as typed settings: the model, how it is loaded, one module for a family of tables."""
