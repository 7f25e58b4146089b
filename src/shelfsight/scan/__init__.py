"""The path of a photo, from its pixels to the products that it may show."""
