"""`modal deploy`, the real command, sent to a server that only writes down what it is told."""

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.deploy.recorder import Recorder, recording
from tests.free_port import free_port

CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Deployed:
    """How the command ended, and what Modal was sent, by the name of the call."""

    status: int
    output: str
    calls: dict[str, list[Any]]

    def function(self, name: str) -> Any:
        """What Modal was told about a function, or about a class, whose name ends in `.*`."""
        functions = [call.function for call in self.calls["FunctionCreate"]]
        return next(function for function in functions if function.function_name == name)

    def build(self) -> list[str]:
        """All commands that build the image, layer after layer."""
        return [
            line
            for call in self.calls["ImageGetOrCreate"]
            for line in call.image.dockerfile_commands
        ]

    def files(self) -> dict[str, str]:
        """SHA-256 of each file that is sent, by its path in the image or the container."""
        mounts = self.calls["MountGetOrCreate"]
        return {file.filename: file.sha256_hex for mount in mounts for file in mount.files}


def deploy(home: Path, **chosen: str) -> Deployed:
    """Run `modal deploy deploy/modal_app.py` with these variables, in an empty home."""
    return asyncio.run(_deploy(home, chosen))


async def _deploy(home: Path, chosen: dict[str, str]) -> Deployed:
    port = free_port()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MODAL_")}
    environ |= {
        "HOME": str(home),
        "MODAL_SERVER_URL": f"http://127.0.0.1:{port}",
        "MODAL_TOKEN_ID": "ak-recorded",
        "MODAL_TOKEN_SECRET": "as-recorded",
        "MODAL_BUILD_VALIDATION": "ignore",
    }
    recorder: Recorder
    async with recording(port) as recorder:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "modal", "deploy", "deploy/modal_app.py"),
            cwd=CHECKOUT,
            env=environ | chosen,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
    return Deployed(process.returncode or 0, output.decode(), recorder.calls)
