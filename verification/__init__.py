"""What is checked, and what a check is made of."""
