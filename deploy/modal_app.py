"""The embedding server on a GPU of Modal, which is paid by the second and sleeps when unused.

    pip install modal && modal setup
    modal secret create shelfsight-embedding-server EMBEDDING_SERVER_API_KEY=...
    modal run deploy/modal_app.py::download     # weights into a Volume, once
    modal deploy deploy/modal_app.py            # prints what EMBEDDING_SERVER_URL is to be

Variables of the shell that deploys, their defaults and meaning:

    SHELFSIGHT_GPU                L4    one GPU, Ampere or newer for bfloat16: L4, A10, L40S, A100
    SHELFSIGHT_MIN_CONTAINERS     0     kept warm, and so paid, day and night
    SHELFSIGHT_MAX_CONTAINERS     1     at the most, which bounds the bill
    SHELFSIGHT_SCALEDOWN_WINDOW   300   seconds a container stays, and is paid, without a request
    SHELFSIGHT_MAX_INPUTS         64    requests at a time in a container; further ones wait
    SHELFSIGHT_TARGET_INPUTS      32    requests a container above which Modal starts another

A cold start restores a snapshot of CPU memory, which holds the imported libraries, and reads the
weights from the Volume. Snapshots of GPU memory, which Modal calls alpha, are not used.
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
    """What is chosen at deploy time. Modal's containers read this file too, and do not use it."""

    gpu: str = "L4"
    min_containers: int = 0
    max_containers: int = 1
    scaledown_window: int = 300
    max_inputs: int = 64
    target_inputs: int = 32

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """Take each field from its variable; one that makes no sense ends the deployment."""
        told = {field.name: environ.get(_variable(field.name), "").strip() for field in fields(cls)}
        given: dict[str, Any] = {name: _sensible(name, text) for name, text in told.items() if text}
        made = cls(**given)
        for low, high in ("min_containers", "max_containers"), ("target_inputs", "max_inputs"):
            if (value := getattr(made, low)) > (most := getattr(made, high)):
                raise _nonsense(low, str(value), f"at most {_variable(high)}={most}")
        return made


_NUMBERS = {
    "min_containers": range(101),
    "max_containers": range(1, 101),
    "scaledown_window": range(2, 3601),  # as Modal has it
    "max_inputs": range(1, 1001),
    "target_inputs": range(1, 1001),
}


def _sensible(name: str, text: str) -> str | int:
    if name not in _NUMBERS:
        if re.fullmatch(r"[A-Za-z0-9-]+", text):
            return text
        raise _nonsense(name, text, "the name of one GPU, as L4")
    numbers = _NUMBERS[name]
    if re.fullmatch(r"[0-9]{1,4}", text) and int(text) in numbers:
        return int(text)
    raise _nonsense(name, text, f"a whole number, {numbers[0]} to {numbers[-1]}")


def _nonsense(name: str, text: str, allowed: str) -> SystemExit:
    return SystemExit(f"{_variable(name)}={text!r} makes no sense; allowed is {allowed}")


def _variable(name: str) -> str:
    return f"SHELFSIGHT_{name.upper()}"


chosen = Deployment.read(os.environ)
weights = modal.Volume.from_name("shelfsight-weights", create_if_missing=True)
secret = modal.Secret.from_name(NAME, required_keys=[KEY])


def _image() -> modal.Image:
    """Dependencies, then this checkout: new code does not install the dependencies again."""
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
    """The app of `shelfsight serve-models`; its lifespan warms the models up.

    Raises:
        SettingsError: there is no key, and the whole internet could use the models.
        ModelError: the models cannot be loaded.
    """
    from shelfsight.errors import SettingsError
    from shelfsight.wiring import embedding_app

    if settings.embedding_server_api_key is None:
        raise SettingsError(
            f"the server would be open to everyone: modal secret create {NAME} {KEY}=..."
        )
    return embedding_app(settings)


@app.function(image=image, volumes={WEIGHTS: weights}, cpu=2, memory=8192, timeout=3600)
def download() -> None:
    """Fetch the weights into the Volume, and show that they load."""
    from shelfsight.settings import load
    from shelfsight.wiring import open_embedder

    with open_embedder(load({"device": "cpu"}), print):
        weights.commit()


@app.cls(
    image=image,
    gpu=chosen.gpu,
    secrets=[secret],
    volumes={WEIGHTS: weights},
    cpu=4,  # pictures are decoded beside the GPU
    memory=8192,
    min_containers=chosen.min_containers,
    max_containers=chosen.max_containers,
    scaledown_window=chosen.scaledown_window,
    timeout=600,
    startup_timeout=1800,  # where `download` was not run, the first start downloads
    enable_memory_snapshot=True,
)
@modal.concurrent(max_inputs=chosen.max_inputs, target_inputs=chosen.target_inputs)
class EmbeddingServer:
    """One container: both models on one GPU."""

    @modal.enter(snap=True)
    def import_libraries(self) -> None:
        """Into the snapshot: what takes long and needs neither GPU, nor key, nor threads."""
        for module in (
            "shelfsight.embedding.local.torch_model",
            "shelfsight.serving.embedding_api.app",
        ):
            import_module(module)

    @modal.enter(snap=False)
    def load_models(self) -> None:
        """In each container, from the Volume straight to the GPU."""
        from shelfsight.settings import load

        self.app = serve(load())

    @modal.asgi_app()
    def web(self) -> "FastAPI":
        """What Modal serves."""
        return self.app
