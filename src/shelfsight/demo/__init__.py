"""`shelfsight demo`: the whole system tried out on a generated shop."""
