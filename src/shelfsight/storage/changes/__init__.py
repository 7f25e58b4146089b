"""What may have changed in the shop, and how that is told."""
