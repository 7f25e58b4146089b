"""Starts what a long command tells those who run it: logs as JSON, and traces."""

from shelfsight import __version__
from shelfsight.errors import SettingsError, install_command
from shelfsight.settings import Settings, trace_settings
from shelfsight.telemetry import logs, traces


def start_telemetry(settings: Settings, command: str) -> None:
    """Choose the format of the log, and export traces if the variables `OTEL_*` ask for that.

    `command` is the name of the command, such as `serve`.

    Raises:
        SettingsError: traces are asked for, and the extra is not installed or the protocol is
            another than HTTP.
    """
    logs.configure(settings.log_format)
    asked = trace_settings()
    if not asked.are_on:
        return
    if asked.protocol != "http/protobuf":
        raise SettingsError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL={asked.protocol}: traces are exported with http/protobuf"
            " only; leave it out, and name the collector's port for HTTP (usually 4318)"
        )
    try:
        traces.start(f"shelfsight-{command}", __version__)
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"{error.name} is not installed, and OTEL_* asks for traces; {install_command('otel')}"
        ) from None
