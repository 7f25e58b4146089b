"""The models that run in this process: what is known of each, as rows of a table."""
