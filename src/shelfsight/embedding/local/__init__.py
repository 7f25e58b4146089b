"""Models that run in this process."""

import os

# ONNX Runtime's builds for Linux and macOS tell Microsoft of every model they open, unless this is
# there as it is loaded. Nobody who searches a shop's pictures has asked for that.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
