"""From a question to the products that are near it."""
