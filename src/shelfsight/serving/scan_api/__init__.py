"""The scan server: quick scans over HTTP, and a web page to try them."""
