"""The processes that the files below `deploy/` start, with Compose, Kubernetes and systemd."""

import configparser
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
ENTRYPOINT = "/opt/shelfsight/bin/shelfsight"


@dataclass(frozen=True, kw_only=True)
class Process:
    """A command line of shelfsight, without the program's name, and how it is run.

    `variables` are the environment variables that are set for it. `stop_seconds` is the time it has
    to stop; None is the default of what runs it. `mounts` are the folders that outlive it or are
    writable. `probes` are the paths and ports that are asked whether it is well.
    """

    place: str
    arguments: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    stop_seconds: float | None = None
    mounts: frozenset[str] = frozenset()
    ports: frozenset[int] = frozenset()
    probes: tuple[tuple[str, int], ...] = ()

    @property
    def name(self) -> str:
        return f"{self.place}: {' '.join(self.arguments)}"


def compose_file(name: str = "compose.yaml") -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text())
    return loaded


def compose_processes() -> Iterator[Process]:
    for name, service in compose_file()["services"].items():
        if "build" not in service:
            continue
        probe = service.get("healthcheck", {}).get("test", [])
        yield Process(
            place=f"compose {name}",
            arguments=tuple(service.get("command", ())),
            variables=service.get("environment", {}),
            stop_seconds=_seconds(service.get("stop_grace_period")),
            mounts=frozenset(_target(volume) for volume in service.get("volumes", ())),
            ports=frozenset(int(port.rpartition(":")[2]) for port in service.get("ports", ())),
            probes=tuple(_asked(" ".join(probe))),
        )


def manifests() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each object of Kubernetes, with the file that has it."""
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        if path.name != "kustomization.yaml":
            for one in yaml.safe_load_all(path.read_text()):
                yield path.name, one


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """The pods of jobs and deployments, each with the name of its object."""
    for _, one in manifests():
        if "template" in one.get("spec", {}):
            yield one["metadata"]["name"], one["spec"]["template"]["spec"]


def kubernetes_processes() -> Iterator[Process]:
    maps = {one["metadata"]["name"]: one for _, one in manifests() if one["kind"] == "ConfigMap"}
    for name, pod in pods():
        (container,) = pod["containers"]
        names = {port["name"]: port["containerPort"] for port in container.get("ports", ())}
        asked = [container[key]["httpGet"] for key in container if key.endswith("Probe")]
        variables = {one["name"]: "(secret)" for one in container.get("env", ())}
        for source in container["envFrom"]:
            if "configMapRef" in source:
                variables |= maps[source["configMapRef"]["name"]]["data"]
        yield Process(
            place=f"kubernetes {name}",
            arguments=tuple(container["args"]),
            variables=variables,
            stop_seconds=pod.get("terminationGracePeriodSeconds"),
            mounts=frozenset(mount["mountPath"] for mount in container["volumeMounts"]),
            ports=frozenset(names.values()),
            probes=tuple((one["path"], names[one["port"]]) for one in asked),
        )


def units() -> Iterator[tuple[str, configparser.ConfigParser]]:
    for path in sorted((DEPLOY / "systemd").glob("*.service")):
        unit = configparser.ConfigParser(interpolation=None)
        unit.optionxform = str  # type: ignore[assignment,method-assign]
        unit.read(path)
        yield path.name, unit


def systemd_processes() -> Iterator[Process]:
    for name, unit in units():
        service = unit["Service"]
        program, *arguments = shlex.split(service["ExecStart"])
        assert program == ENTRYPOINT
        yield Process(
            place=f"systemd {name}",
            arguments=tuple(arguments),
            stop_seconds=_seconds(service.get("TimeoutStopSec")),
        )


def variables_of(path: Path) -> dict[str, str]:
    """The variables of a file of `NAME=value` lines, also those that stand in a comment."""
    lines = re.findall(r"^#?([A-Z_]+)=(.*)$", path.read_text(), re.MULTILINE)
    return dict(lines)


def _target(volume: str) -> str:
    return re.sub(r"\$\{[^}]*\}", "x", volume).split(":")[1]


def _asked(script: str) -> Iterator[tuple[str, int]]:
    for port, path in re.findall(r"http://127\.0\.0\.1:(\d+)(/[\w/]*)", script):
        yield path, int(port)


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    amount, unit = re.fullmatch(r"(\d+)(s|m|)", text).groups()  # type: ignore[union-attr]
    return int(amount) * (60 if unit == "m" else 1)
