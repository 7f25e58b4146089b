"""Who has which part of a run, and how far it is."""
