"""The models behind HTTP: lanes that batch across requests, and the app before them."""
