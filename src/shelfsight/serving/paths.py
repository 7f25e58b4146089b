"""URL paths that the embedding server and the scan server have in common."""

READY_PATH = "/ready"
METRICS_PATH = "/metrics"
DOCS_PATH = "/docs"
