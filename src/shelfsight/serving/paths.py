"""URL paths that both servers have."""

READY_PATH = "/ready"
METRICS_PATH = "/metrics"
DOCS_PATH = "/docs"
