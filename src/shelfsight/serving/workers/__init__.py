"""Several worker processes that serve one socket, and the parent process that keeps them going."""
