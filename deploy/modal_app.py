"""Deploys the embedding server to Modal: a GPU billed by the second that scales to zero when idle.

    pip install modal && modal setup
    modal secret create shelfsight-embedding-server EMBEDDING_SERVER_API_KEY=...
    modal run deploy/modal_app.py::download     # weights to a Volume, once
    modal deploy deploy/modal_app.py            # prints the value of EMBEDDING_SERVER_URL

Environment variables that are read at deploy time, with their defaults:

    SHELFSIGHT_GPU                L4    one GPU, Ampere or newer for bfloat16: L4, A10, L40S, A100
    SHELFSIGHT_MIN_CONTAINERS     0     containers kept warm, and billed, all the time
    SHELFSIGHT_MAX_CONTAINERS     1     most containers at a time, which limits the bill
    SHELFSIGHT_SCALEDOWN_WINDOW   300   seconds that an idle container stays, and is billed
    SHELFSIGHT_MAX_INPUTS         64    concurrent requests per container; further ones wait
    SHELFSIGHT_TARGET_INPUTS      32    requests per container above which Modal starts another

A cold start restores a snapshot of CPU memory with the imported libraries, and then reads the
weights from the Volume. Snapshots of GPU memory are not used: Modal calls them alpha.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import modal

if TYPE_CHECKING:
    from fastapi import FastAPI

    from shelfsight.settings import Settings

NAME = "shelfsight-embedding-server"
KEY = "EMBEDDING_SERVER_API_KEY"
CHECKOUT = Path(__file__).resolve().parents[1]
WEIGHTS = "/weights"


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """The options of a deployment. Modal's containers import this file too, but do not use them."""

    gpu: str = "L4"
    min_containers: int = 0
    max_containers: int = 1
    scaledown_window: int = 300
    max_inputs: int = 64
    target_inputs: int = 32

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """Read the fields from environment variables; exit with a message if one is not valid."""
        texts = {
            field.name: environ.get(_variable(field.name), "").strip() for field in fields(cls)
        }
        values: dict[str, Any] = {name: _parse(name, text) for name, text in texts.items() if text}
        deployment = cls(**values)
        for low, high in ("min_containers", "max_containers"), ("target_inputs", "max_inputs"):
            if (value := getattr(deployment, low)) > (limit := getattr(deployment, high)):
                raise _not_valid(low, str(value), f"at most {_variable(high)}={limit}")
        return deployment


_RANGES = {
    "min_containers": range(101),
    "max_containers": range(1, 101),
    "scaledown_window": range(2, 3601),  # the range that Modal allows
    "max_inputs": range(1, 1001),
    "target_inputs": range(1, 1001),
}


def _parse(name: str, text: str) -> str | int:
    if name not in _RANGES:
        if re.fullmatch(r"[A-Za-z0-9-]+", text):
            return text
        raise _not_valid(name, text, "the name of one GPU, as L4")
    allowed = _RANGES[name]
    if re.fullmatch(r"[0-9]{1,4}", text) and int(text) in allowed:
        return int(text)
    raise _not_valid(name, text, f"a whole number, {allowed[0]} to {allowed[-1]}")


def _not_valid(name: str, text: str, allowed: str) -> SystemExit:
    return SystemExit(f"{_variable(name)}={text!r} makes no sense; allowed is {allowed}")


def _variable(name: str) -> str:
    return f"SHELFSIGHT_{name.upper()}"


deployment = Deployment.read(os.environ)
weights = modal.Volume.from_name("shelfsight-weights", create_if_missing=True)
secret = modal.Secret.from_name(NAME, required_keys=[KEY])


def _image() -> modal.Image:
    """The container image: dependencies first, so that new code does not install them again."""
    pins = "/shelfsight/constraints.txt"
    image = (
        modal.Image.debian_slim(python_version="3.11")
        .add_local_file(CHECKOUT / "requirements" / "constraints.txt", pins, copy=True)
        .uv_pip_install(
            requirements=[str(CHECKOUT / "pyproject.toml")],
            extra_options=f"--extra server --extra torch --constraint {pins}",
            uv_version="0.13.9",
        )
        .env(
            {
                "MODELS": "siglip-qwen3",
                "BACKEND": "torch",
                "DEVICE": "cuda",
                "HF_HOME": f"{WEIGHTS}/huggingface",
            }
        )
    )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        image = image.add_local_file(CHECKOUT / name, f"/shelfsight/{name}", copy=True)
    return image.add_local_dir(
        CHECKOUT / "src", "/shelfsight/src", copy=True, ignore=["**/__pycache__"]
    ).uv_pip_install(
        "/shelfsight",
        extra_options=f"--no-deps --build-constraint {pins}",
        uv_version="0.13.9",
    )


app = modal.App(NAME)
image = _image()


def serve(settings: "Settings") -> "FastAPI":
    """Create the app of `shelfsight serve-models`; its lifespan warms up the models.

    Raises:
        SettingsError: there is no key, so the server would be open to everyone.
        ModelError: the models cannot be loaded.
    """
    from shelfsight.errors import SettingsError
    from shelfsight.wiring.embedding_server import embedding_app

    if settings.embedding_server_api_key is None:
        raise SettingsError(
            f"the server would be open to everyone: modal secret create {NAME} {KEY}=..."
        )
    return embedding_app(settings)


@app.function(image=image, volumes={WEIGHTS: weights}, cpu=2, memory=8192, timeout=3600)
def download() -> None:
    """Download the weights to the Volume, and check that they load."""
    from shelfsight.settings import load
    from shelfsight.wiring.embedder import open_embedder

    with open_embedder(load({"device": "cpu"}), print):
        weights.commit()


@app.cls(
    image=image,
    gpu=deployment.gpu,
    secrets=[secret],
    volumes={WEIGHTS: weights},
    cpu=4,  # decode pictures while the GPU works
    memory=8192,
    min_containers=deployment.min_containers,
    max_containers=deployment.max_containers,
    scaledown_window=deployment.scaledown_window,
    timeout=600,
    startup_timeout=1800,  # without `download`, the first start downloads the weights
    enable_memory_snapshot=True,
)
@modal.concurrent(max_inputs=deployment.max_inputs, target_inputs=deployment.target_inputs)
class EmbeddingServer:
    """One container, with both models on one GPU."""

    @modal.enter(snap=True)
    def import_libraries(self) -> None:
        """Before the snapshot: slow imports that need neither the GPU, nor the key, nor threads."""
        for module in (
            "shelfsight.embedding.local.torch_model",
            "shelfsight.serving.embedding_api.app",
        ):
            import_module(module)

    @modal.enter(snap=False)
    def load_models(self) -> None:
        """In each container, after the snapshot: load the weights from the Volume onto the GPU."""
        from shelfsight.settings import load

        self.app = serve(load())

    @modal.asgi_app()
    def web(self) -> "FastAPI":
        """The ASGI app that Modal serves."""
        return self.app
