"""The page that shopkeepers use, and the data that it shows."""
