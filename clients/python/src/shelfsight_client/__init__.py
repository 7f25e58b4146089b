"""Client for the quick scans of `shelfsight serve`, in synchronous and asynchronous code."""

from shelfsight_client.client import AsyncShelfsight, Shelfsight
from shelfsight_client.errors import ShelfsightError
from shelfsight_client.responses import (
    Box,
    Event,
    FeedbackResponse,
    Match,
    Matches,
    PhotoEvent,
    PhotoResult,
    Problem,
    Progress,
    ProgressEvent,
    Readiness,
    ReadinessProblem,
    ScanEnd,
    ScanResponse,
)
from shelfsight_client.scan_request import Filters, Image, Photo, ScanOptions, Weights

__all__ = [
    "AsyncShelfsight",
    "Box",
    "Event",
    "FeedbackResponse",
    "Filters",
    "Image",
    "Match",
    "Matches",
    "Photo",
    "PhotoEvent",
    "PhotoResult",
    "Problem",
    "Progress",
    "ProgressEvent",
    "Readiness",
    "ReadinessProblem",
    "ScanEnd",
    "ScanOptions",
    "ScanResponse",
    "Shelfsight",
    "ShelfsightError",
    "Weights",
]
