"""Models that run in this process."""

import os

# Unless this variable is set before ONNX Runtime is loaded, its builds for Linux and macOS report
# every model they open to Microsoft. No user of a product search has asked for that.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
