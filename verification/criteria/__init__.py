"""What a criterion is beyond its code: identity, selection, order, result."""
