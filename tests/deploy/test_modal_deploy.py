"""The calls that `modal deploy` makes. They go to a recorder, not to Modal: see `recorder.py`."""

import hashlib
import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from modal_proto import api_pb2
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy import modal_app
from shelfsight.settings import load
from tests.deploy.deploying import CHECKOUT, Deployed, deploy

CONSTRAINTS = CHECKOUT / "requirements" / "constraints.txt"


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    return deploy(tmp_path_factory.mktemp("home"))


def test_the_server_is_deployed_under_its_name(deployed: Deployed) -> None:
    assert deployed.status == 0, deployed.output
    (published,) = deployed.calls["AppPublish"]
    assert published.name == "shelfsight-embedding-server"
    assert set(published.function_ids) == {"download", "EmbeddingServer.*"}
    assert set(published.class_ids) == {"EmbeddingServer"}


def test_a_container_has_one_gpu_and_serves_http(deployed: Deployed) -> None:
    server = deployed.function("EmbeddingServer.*")
    assert (server.resources.gpu_config.gpu_type, server.resources.gpu_config.count) == ("L4", 1)
    assert (server.resources.milli_cpu, server.resources.memory_mb) == (4000, 8192)
    (web,) = server.method_definitions.values()
    assert web.webhook_config.type == api_pb2.WEBHOOK_TYPE_ASGI_APP
    assert not web.webhook_config.requires_proxy_auth


def test_unused_it_costs_nothing_and_used_it_is_one_container(deployed: Deployed) -> None:
    scale = deployed.function("EmbeddingServer.*").autoscaler_settings
    assert (scale.min_containers, scale.max_containers, scale.scaledown_window) == (0, 1, 300)


def test_many_requests_share_a_container(deployed: Deployed) -> None:
    server = deployed.function("EmbeddingServer.*")
    assert (server.max_concurrent_inputs, server.target_concurrent_inputs) == (64, 32)


def test_cold_starts_are_from_a_snapshot_of_cpu_memory(deployed: Deployed) -> None:
    server = deployed.function("EmbeddingServer.*")
    assert server.checkpointing_enabled
    assert not server.enable_gpu_snapshot and not server._experimental_enable_gpu_snapshot
    assert server.startup_timeout_secs > server.timeout_secs > 150


def test_a_secret_without_the_key_is_refused_by_modal(deployed: Deployed) -> None:
    (secret,) = deployed.calls["SecretGetOrCreate"]
    assert secret.deployment_name == "shelfsight-embedding-server"
    assert list(secret.required_keys) == ["EMBEDDING_SERVER_API_KEY"]
    assert len(deployed.function("EmbeddingServer.*").secret_ids) == 1
    assert not deployed.function("download").secret_ids


def test_weights_lie_in_a_volume_that_both_functions_see(deployed: Deployed) -> None:
    (volume,) = deployed.calls["VolumeGetOrCreate"]
    assert volume.deployment_name == "shelfsight-weights"
    mounts = [
        list(deployed.function(name).volume_mounts) for name in ("download", "EmbeddingServer.*")
    ]
    assert [[mount.mount_path for mount in each] for each in mounts] == [["/weights"], ["/weights"]]
    assert "ENV HF_HOME=/weights/huggingface" in deployed.build()


def test_downloading_needs_no_gpu(deployed: Deployed) -> None:
    assert not deployed.function("download").resources.gpu_config.gpu_type


def test_the_image_is_built_from_pinned_versions(deployed: Deployed) -> None:
    build = deployed.build()
    assert re.match(r"FROM python:3\.11\.\d+-slim", build[0])
    copies_of_uv = [line for line in build if "astral-sh/uv" in line]
    assert copies_of_uv and all(re.search(r"uv:\d+\.\d+\.\d+ ", line) for line in copies_of_uv)
    dependencies, project = (line for line in build if "uv pip install --python" in line)
    assert "--extra server --extra torch" in dependencies
    assert "--constraint /shelfsight/constraints.txt" in dependencies
    assert "--no-deps --build-constraint /shelfsight/constraints.txt" in project
    digest = hashlib.sha256(CONSTRAINTS.read_bytes()).hexdigest()
    assert deployed.files()["/shelfsight/constraints.txt"] == digest


def test_the_image_sets_what_shelfsight_reads(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [line.removeprefix("ENV ") for line in deployed.build() if line.startswith("ENV ")]
    for name, _, value in (line.partition("=") for line in told):
        monkeypatch.setenv(name, value)
    settings = load()
    configured = (settings.models, settings.backend, settings.device)
    assert configured == ("siglip-qwen3", "torch", "cuda")


def test_every_dependency_of_the_image_is_pinned() -> None:
    lines = CONSTRAINTS.read_text().splitlines()
    pinned = {canonicalize_name(line.partition("==")[0]) for line in lines if "==" in line}
    assert {"torch", "transformers", "hatchling"} <= pinned
    assert _needed({"server", "torch"}) <= pinned


def _needed(extras: set[str]) -> set[str]:
    """The dependencies of shelfsight with these extras, and theirs, as far as installed here."""
    needed: set[str] = set()
    waiting = [Requirement(f"shelfsight[{','.join(extras)}]")]
    while waiting:
        wanted = waiting.pop()
        for requirement in _requirements(wanted.name):
            name = canonicalize_name(requirement.name)
            marker = requirement.marker
            applies = [
                marker is None or marker.evaluate({"extra": e}) for e in {"", *wanted.extras}
            ]
            if any(applies) and (name not in needed or requirement.extras):
                needed.add(name)
                waiting.append(requirement)
    return needed


def _requirements(name: str) -> list[Requirement]:
    try:
        return [Requirement(line) for line in distribution(name).requires or []]
    except PackageNotFoundError:
        return []


def test_this_checkout_is_installed_and_nothing_beside_it(deployed: Deployed) -> None:
    sent = deployed.files()
    source = CHECKOUT / "src" / "shelfsight" / "serving" / "embedding_api" / "app.py"
    remote = "/shelfsight/src/shelfsight/serving/embedding_api/app.py"
    assert sent[remote] == hashlib.sha256(source.read_bytes()).hexdigest()
    beside = {path for path in sent if not path.startswith("/shelfsight/src/shelfsight/")}
    assert beside == {
        "/root/modal_app.py",
        *(
            f"/shelfsight/{name}"
            for name in ("constraints.txt", "pyproject.toml", "README.md", "LICENSE")
        ),
    }
    assert not [path for path in sent if "__pycache__" in path]


def test_each_variable_of_the_shell_changes_what_modal_is_asked_for(tmp_path: Path) -> None:
    deployed = deploy(
        tmp_path,
        SHELFSIGHT_GPU="A100-80GB",
        SHELFSIGHT_MIN_CONTAINERS="1",
        SHELFSIGHT_MAX_CONTAINERS="3",
        SHELFSIGHT_SCALEDOWN_WINDOW="60",
        SHELFSIGHT_MAX_INPUTS="16",
        SHELFSIGHT_TARGET_INPUTS="8",
    )
    server = deployed.function("EmbeddingServer.*")
    scale = server.autoscaler_settings
    assert server.resources.gpu_config.gpu_type == "A100-80GB"
    assert (scale.min_containers, scale.max_containers, scale.scaledown_window) == (1, 3, 60)
    assert (server.max_concurrent_inputs, server.target_concurrent_inputs) == (16, 8)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SHELFSIGHT_GPU", "L4, please"),
        ("SHELFSIGHT_MIN_CONTAINERS", "-1"),
        ("SHELFSIGHT_MIN_CONTAINERS", "2"),
        ("SHELFSIGHT_MAX_CONTAINERS", "0"),
        ("SHELFSIGHT_MAX_CONTAINERS", "many"),
        ("SHELFSIGHT_SCALEDOWN_WINDOW", "1"),
        ("SHELFSIGHT_MAX_INPUTS", "²"),
        ("SHELFSIGHT_TARGET_INPUTS", "65"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(name: str, value: str) -> None:
    with pytest.raises(SystemExit) as refused:
        modal_app.Deployment.read({name: value})
    assert str(refused.value).startswith(f"{name}=")
    assert len(str(refused.value).splitlines()) == 1


def test_nothing_is_sent_once_a_variable_was_refused(tmp_path: Path) -> None:
    deployed = deploy(tmp_path, SHELFSIGHT_MAX_CONTAINERS="many")
    assert deployed.status != 0
    (line,) = deployed.output.splitlines()
    assert line == (
        "SHELFSIGHT_MAX_CONTAINERS='many' makes no sense; allowed is a whole number, 1 to 100"
    )
    assert not deployed.calls


def test_the_first_page_of_the_file_names_every_variable_and_its_default() -> None:
    told = dict(re.findall(r"^    (SHELFSIGHT_\w+) +(\S+)", modal_app.__doc__ or "", re.MULTILINE))
    defaults = vars(modal_app.Deployment())
    assert told == {f"SHELFSIGHT_{name.upper()}": str(value) for name, value in defaults.items()}
