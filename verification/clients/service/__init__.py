"""The service under verification, asked as its users ask it."""
