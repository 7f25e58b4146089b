"""Compare shelfsight with other systems on the same pictures, texts, models and database."""
