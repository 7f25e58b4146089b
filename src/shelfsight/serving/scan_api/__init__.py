"""The scan server: finds products over HTTP, and has a web page to try that."""
