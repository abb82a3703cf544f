"""How long users meet a fault until the suite has rolled it back."""
