"""The command `shelfsight demo`: tries the whole system on a generated shop."""
