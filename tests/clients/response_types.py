"""Prints the fields of the typed dictionaries, as JSON."""

import json
import sys

import shelfsight_client as client

TYPES = (
    *(client.Match, client.Matches, client.PhotoResult, client.ScanResponse, client.Progress),
    *(client.FeedbackResponse, client.Readiness, client.ReadinessProblem, client.Problem),
    *(client.Filters, client.Weights, client.Box),
)
json.dump({kind.__name__: sorted(kind.__annotations__) for kind in TYPES}, sys.stdout)
