"""Where vectors, failures and the embedded database live."""
