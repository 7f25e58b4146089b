"""A generated shop: products with texts, drawn pictures, and simulated phone photos of them."""
