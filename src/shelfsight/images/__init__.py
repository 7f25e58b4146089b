"""From a picture's address to the pixels a model sees."""
