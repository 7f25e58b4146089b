"""Addresses that both apps have."""

READY_PATH = "/ready"
METRICS_PATH = "/metrics"
DOCS_PATH = "/docs"
