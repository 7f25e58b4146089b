"""What lies below `deploy/` is valid, agrees with the commands and settings, and is locked down."""

import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
import yaml
from dockerfile_parse import DockerfileParser

from shelfsight.cli.main import shelfsight
from shelfsight.settings import Settings
from tests.deploy.processes import (
    DEPLOY,
    Process,
    compose_file,
    compose_processes,
    kubernetes_processes,
    manifests,
    pods,
    systemd_processes,
    units,
    variables_of,
)

CHECKOUT = DEPLOY.parent
UID = 10001
SETTINGS = {name.upper() for name in Settings.model_fields}
OF_OTHERS = {"HOME", "XDG_CACHE_HOME", "HF_HOME"}
"""Variables that are no settings of ours; the libraries below us read them."""

STOP_TIMEOUT = Settings.model_fields["stop_timeout"].default
PORTS = {"serve": 8080, "serve-models": 8000}
PROCESSES = [*compose_processes(), *kubernetes_processes(), *systemd_processes()]
EXAMPLES = [
    DEPLOY / "env.example",
    DEPLOY / "kubernetes" / "secret.env.example",
    DEPLOY / "systemd" / "shelfsight.env.example",
]
KUBERNETES_VERSIONS = ["1.30", "1.37"]


@pytest.fixture(scope="module")
def dockerfile() -> list[dict[str, Any]]:
    parsed: list[dict[str, Any]] = DockerfileParser(str(DEPLOY / "Dockerfile")).structure
    return [line for line in parsed if line["instruction"] != "COMMENT"]


def values(dockerfile: list[dict[str, Any]], instruction: str) -> list[str]:
    return [line["value"] for line in dockerfile if line["instruction"] == instruction]


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [hadolint, DEPLOY / "Dockerfile"], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_what_the_image_is_built_from_is_there_and_sent_to_the_builder(
    dockerfile: list[dict[str, Any]],
) -> None:
    lines = (CHECKOUT / ".dockerignore").read_text().splitlines()
    sent = [line[1:] for line in lines if line.startswith("!")]
    copied = [
        source
        for value in values(dockerfile, "COPY")
        if not value.startswith("--from")
        for source in value.split()[:-1]
    ]
    assert "src" in copied
    for source in copied:
        assert (CHECKOUT / source).exists()
        assert any(fnmatch(source, pattern) for pattern in sent), source
    assert not any((CHECKOUT / name).match(".env*") for name in sent)


def test_the_image_runs_as_a_numbered_user_that_is_not_root(
    dockerfile: list[dict[str, Any]],
) -> None:
    assert values(dockerfile, "USER") == [f"{UID}:{UID}"]
    order = [line["instruction"] for line in dockerfile]
    assert order.index("USER") > max(n for n, name in enumerate(order) if name == "RUN")
    assert "ADD" not in order


def test_the_image_is_told_to_stop_as_the_servers_expect_it(
    dockerfile: list[dict[str, Any]],
) -> None:
    assert values(dockerfile, "STOPSIGNAL") == ["SIGTERM"]
    (probe,) = values(dockerfile, "HEALTHCHECK")
    assert "http://127.0.0.1:8080/health" in probe


def test_the_image_sets_only_what_is_read(dockerfile: list[dict[str, Any]]) -> None:
    names = {name for value in values(dockerfile, "ENV") for name in re.findall(r"(\w+)=", value)}
    ours = {name for name in names if not re.match("PIP_|PYTHON|PATH|NVIDIA_", name)}
    assert ours <= SETTINGS | OF_OTHERS


@pytest.mark.parametrize("process", PROCESSES, ids=lambda one: one.name)
def test_every_command_line_is_understood(process: Process) -> None:
    if not process.arguments:  # the service for `docker compose run`, whose arguments are typed
        return
    name, *arguments = process.arguments
    command = shelfsight.get_command(click.Context(shelfsight), name)
    assert command is not None, name
    with command.make_context(name, list(arguments), ignore_unknown_options=False):
        pass


@pytest.mark.parametrize("process", PROCESSES, ids=lambda one: one.name)
def test_every_variable_is_a_setting(process: Process) -> None:
    assert process.variables.keys() <= SETTINGS


@pytest.mark.parametrize("process", PROCESSES, ids=lambda one: one.name)
def test_a_server_has_longer_to_stop_than_it_takes(process: Process) -> None:
    if process.arguments[:1] in (("serve",), ("serve-models",), ("watch",)):
        assert process.stop_seconds is not None
        assert process.stop_seconds > STOP_TIMEOUT


@pytest.mark.parametrize("process", PROCESSES, ids=lambda one: one.name)
def test_servers_are_asked_at_the_port_at_which_they_listen(process: Process) -> None:
    port = PORTS.get("".join(process.arguments[:1]))
    if process.place.startswith("systemd"):
        assert port is None or process.arguments[-2:] == ("--port", str(port))
        return
    assert process.ports <= {port}
    assert {asked for _, asked in process.probes} == ({port} if port else set())
    assert {path for path, _ in process.probes} <= {"/health", "/ready"}


@pytest.mark.parametrize("process", PROCESSES, ids=lambda one: one.name)
def test_what_is_mounted_is_there_and_writable_in_the_image(
    process: Process, dockerfile: list[dict[str, Any]]
) -> None:
    made = " ".join(values(dockerfile, "RUN"))
    assert all(mount == "/tmp" or mount in made for mount in process.mounts)


def test_the_embedding_server_is_looked_for_where_it_listens() -> None:
    services = {one["metadata"]["name"]: one for _, one in manifests() if one["kind"] == "Service"}
    for process in PROCESSES:
        url = process.variables.get("EMBEDDING_SERVER_URL", "")
        if url and process.place.startswith("compose"):
            assert url == "http://serve-models:8000"
            assert "serve-models" in compose_file()["services"]
        elif url:
            host = url.removeprefix("http://").removesuffix(":8000")
            (port,) = services[host]["spec"]["ports"]
            assert port["port"] == 8000
            assert services[host]["spec"]["selector"] == {"app.kubernetes.io/name": host}


def test_nothing_listens_beyond_this_machine_unless_asked_to() -> None:
    services = compose_file()["services"]
    published = [port for one in services.values() for port in one.get("ports", ())]
    assert published == ["${LISTEN:-127.0.0.1:8080}:8080"]
    for process in systemd_processes():
        if "--host" in process.arguments:
            assert process.arguments[process.arguments.index("--host") + 1] == "127.0.0.1"
    assert not any("--insecure" in process.arguments for process in PROCESSES)
    kinds = {
        one["spec"].get("type", "ClusterIP") for _, one in manifests() if one["kind"] == "Service"
    }
    assert kinds <= {"ClusterIP"}


def test_every_container_of_compose_is_locked_down() -> None:
    for name, service in compose_file()["services"].items():
        if "build" in service:
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"]
            assert service["security_opt"] == ["no-new-privileges:true"]
            assert service["init"] is True


def test_compose_waits_for_what_is_needed() -> None:
    services = compose_file()["services"]
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            other = services[needed]
            if how["condition"] == "service_healthy":
                assert "test" in other["healthcheck"], name
            else:
                assert how["condition"] == "service_completed_successfully"
                assert "unless-stopped" not in other.get("restart", "")
            # one that a profile may leave out must not be required by one that always runs
            if "profiles" in other and other["profiles"] != service.get("profiles"):
                assert how.get("required") is False
    assert services["serve"]["depends_on"].keys() == {"postgres", "init", "serve-models"}


def test_what_compose_asks_of_the_environment_is_in_the_example() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    asked = set(re.findall(r"\$\{(\w+)", text))
    example = variables_of(DEPLOY / "env.example")
    assert asked - {"SHELFSIGHT_IMAGE", "DEVICE"} == example.keys() - {"COMPOSE_PROFILES"}
    profiles = {one for s in compose_file()["services"].values() for one in s.get("profiles", ())}
    assert set(example["COMPOSE_PROFILES"].split(",")) <= profiles


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_has_settings_and_no_secret(path: Path) -> None:
    of_compose = {"COMPOSE_PROFILES", "POSTGRES_PASSWORD", "LISTEN", "PICTURES"}
    for name, value in variables_of(path).items():
        assert name in SETTINGS | of_compose
        if name.endswith(("_PASSWORD", "_KEY")):
            assert value == ""
        if name == "DATABASE_URL":
            assert "//user:password@" in value


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_the_manifests_are_valid(version: str) -> None:
    for name, manifest in manifests():
        kubernetes_validate.validate(manifest, version, strict=True)
        assert "namespace" not in manifest["metadata"], name


def test_kustomize_applies_every_manifest() -> None:
    folder = DEPLOY / "kubernetes"
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert set(listed["resources"]) == {name for name, _ in manifests()}
    (secret,) = listed["secretGenerator"]
    assert [Path(f"{name}.example") for name in secret["envs"]] == [
        path.relative_to(folder) for path in folder.glob("*.env.example")
    ]
    ignored = (CHECKOUT / ".gitignore").read_text().splitlines()
    assert "/deploy/kubernetes/secret.env" in ignored


@pytest.mark.parametrize(("name", "pod"), list(pods()), ids=[name for name, _ in pods()])
def test_every_pod_is_restricted(name: str, pod: dict[str, Any]) -> None:
    """As the Pod Security Standard `restricted` asks."""
    security = pod["securityContext"]
    assert (security["runAsNonRoot"], security["runAsUser"]) == (True, UID), name
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"requests", "limits"} <= container["resources"].keys()
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_every_unit_is_hardened_and_reads_its_settings() -> None:
    for name, unit in units():
        service = unit["Service"]
        assert service["DynamicUser"] == service["NoNewPrivileges"] == "yes", name
        assert service["ProtectSystem"] == "strict"
        assert service["CapabilityBoundingSet"] == ""
        assert service["EnvironmentFile"] == "/etc/shelfsight/shelfsight.env"
        set_here = dict(pair.split("=", 1) for pair in service["Environment"].split())
        assert set_here.keys() <= SETTINGS | OF_OTHERS
        known = {other for other, _ in units()} | {"network-online.target", "postgresql.service"}
        named = " ".join(unit["Unit"].get(key, "") for key in ("After", "Wants", "Requires"))
        assert set(named.split()) <= known
