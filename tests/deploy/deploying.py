"""Runs the real `modal deploy` against a local server that only records its calls."""

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
    """The exit status and output of the command, and its calls to Modal by name."""

    status: int
    output: str
    calls: dict[str, list[Any]]

    def function(self, name: str) -> Any:
        """The definition of a function, or of a class, whose name ends in `.*`."""
        functions = [call.function for call in self.calls["FunctionCreate"]]
        return next(function for function in functions if function.function_name == name)

    def build(self) -> list[str]:
        """The commands that build the image, in order."""
        return [
            line
            for call in self.calls["ImageGetOrCreate"]
            for line in call.image.dockerfile_commands
        ]

    def files(self) -> dict[str, str]:
        """The SHA-256 of each file that is sent, by its path in the image or the container."""
        mounts = self.calls["MountGetOrCreate"]
        return {file.filename: file.sha256_hex for mount in mounts for file in mount.files}


def deploy(home: Path, **variables: str) -> Deployed:
    """Run `modal deploy deploy/modal_app.py` with these variables and an empty home directory."""
    return asyncio.run(_deploy(home, variables))


async def _deploy(home: Path, variables: dict[str, str]) -> Deployed:
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
            env=environ | variables,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
    return Deployed(process.returncode or 0, output.decode(), recorder.calls)
