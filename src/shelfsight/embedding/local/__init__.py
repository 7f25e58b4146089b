"""Models that run in this process."""

import os

# ONNX Runtime's builds for Linux and macOS report every model they open to Microsoft, unless this
# is set before it is loaded. No user of a product search asked for that.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
