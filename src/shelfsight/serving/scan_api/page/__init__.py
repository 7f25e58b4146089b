"""The web page for trying scans, and the endpoints for the data that it shows."""
