"""The queue of changed products, and the triggers and notifications that feed it."""
