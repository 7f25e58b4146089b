"""Traces by OpenTelemetry. Without `start`, nothing of it is imported and nothing is done."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import time_ns
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

_OFF: AbstractContextManager[None] = nullcontext()

Attribute = str | int | float | bool


class _State:
    tracer: "Tracer | None" = None


def start(service: str, version: str) -> None:
    """Export the spans of this process over OTLP (HTTP), as the variables `OTEL_*` say.

    `service` is the name of the service, unless `OTEL_SERVICE_NAME` gives another.

    Raises:
        ModuleNotFoundError: the packages of the extra `otel` are not installed.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    ours = Resource({"service.name": service, "service.version": version})
    provider = TracerProvider(resource=ours.merge(OTELResourceDetector().detect()))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    use(provider)


def use(provider: "TracerProvider | None") -> None:
    """Make spans with this provider; with None, make none."""
    _State.tracer = None if provider is None else provider.get_tracer("shelfsight")


def is_on() -> bool:
    """Return whether spans are made in this process."""
    return _State.tracer is not None


def span(name: str, **attributes: Attribute) -> AbstractContextManager[object]:
    """Return a context that is a span of the trace in progress; if there is none, it does nothing.

    An exception that leaves the context is recorded in the span.
    """
    if _State.tracer is None or not _current().is_recording():
        return _OFF
    return _State.tracer.start_as_current_span(name, attributes=attributes)


@contextmanager
def request_span(name: str, headers: Iterable[tuple[bytes, bytes]]) -> Iterator["Span"]:
    """Open the span of an HTTP request that is answered, in the trace that its headers name.

    Call it only if traces are on (`is_on`).
    """
    from opentelemetry.propagate import extract
    from opentelemetry.trace import SpanKind

    if _State.tracer is None:
        raise RuntimeError("traces are off")
    carrier = {str(key, "latin-1"): str(value, "latin-1") for key, value in headers}
    with _State.tracer.start_as_current_span(
        name, context=extract(carrier), kind=SpanKind.SERVER
    ) as opened:
        yield opened


def outgoing_headers() -> Mapping[str, str]:
    """Return the headers that name the trace in progress to another server (W3C trace context)."""
    if _State.tracer is None:
        return {}
    from opentelemetry.propagate import inject

    carrier: dict[str, str] = {}
    inject(carrier)
    return carrier


def trace_id() -> str:
    """Return the id of the trace in progress in hexadecimal digits; "" if there is none."""
    if _State.tracer is None:
        return ""
    context = _current().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else ""


class Trace(Protocol):
    """A trace whose parts may lie in different threads, one after the other."""

    def part(self, name: str) -> AbstractContextManager[object]:
        """Return a context that is a part of the trace."""
        ...

    def add_past(self, name: str, began_ns: int, ended_ns: int) -> None:
        """Add a part that has ended, by times of `time.time_ns`."""
        ...

    def end(self) -> None:
        """End the trace."""
        ...


def new_trace(name: str, began_ns: int | None = None, **attributes: Attribute) -> Trace:
    """Begin a trace of its own, at `began_ns` (as of `time.time_ns`) or now.

    Call it only if traces are on (`is_on`).
    """
    if _State.tracer is None:
        raise RuntimeError("traces are off")
    return _Trace(_State.tracer, name, began_ns or time_ns(), attributes)


class _Trace:
    def __init__(
        self, tracer: "Tracer", name: str, began_ns: int, attributes: Mapping[str, Attribute]
    ) -> None:
        from opentelemetry.context import Context

        self._tracer = tracer
        self._span = tracer.start_span(
            name, context=Context(), attributes=attributes, start_time=began_ns
        )

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        from opentelemetry.trace import use_span

        with use_span(self._span), self._tracer.start_as_current_span(name):
            yield

    def add_past(self, name: str, began_ns: int, ended_ns: int) -> None:
        from opentelemetry.trace import set_span_in_context

        context = set_span_in_context(self._span)
        self._tracer.start_span(name, context=context, start_time=began_ns).end(ended_ns)

    def end(self) -> None:
        self._span.end()


def _current() -> "Span":
    from opentelemetry.trace import get_current_span

    return get_current_span()
