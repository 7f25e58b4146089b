"""A generated shop: products with words and drawn pictures, and photographs of them."""
