"""The path of every product, from the shop's tables to its stored vectors."""
