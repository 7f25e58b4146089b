"""The numbered migrations of the schema `shelfsight`, and what applies them."""
