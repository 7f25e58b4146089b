"""The embedding server: lanes that batch across requests, and the app before them."""
