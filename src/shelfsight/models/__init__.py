"""The models that run in this process: the facts about each model, as rows of a table."""
