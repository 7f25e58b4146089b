"""Traces by OpenTelemetry, as a collector gets them, and none without its variables."""

import signal
import sys
from base64 import b64encode
from collections.abc import Iterator
from io import StringIO

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shelfsight.errors import SettingsError
from shelfsight.settings import Settings, trace_settings
from shelfsight.telemetry import traces
from shelfsight.wiring.telemetry import start_telemetry
from tests.end_to_end.command import PATIENCE, Command, address_of
from tests.end_to_end.otlp_collector import CollectedSpan, collector
from tests.end_to_end.picture_host import PictureHost, draw, png
from tests.end_to_end.shop_tables import add_product, create_tables
from tests.end_to_end.test_start import imported
from tests.integration.scan_server import SCAN, send

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


@pytest.fixture
def of_the_model_server() -> Iterator[InMemorySpanExporter]:
    """The spans of the embedding server, which runs in this process."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    traces.use(provider)
    yield exporter
    traces.use(None)


def test_pages_and_scans_are_traced_through_to_the_embedding_server(
    shelfsight: Command,
    url: str,
    pictures: PictureHost,
    model_server: str,
    of_the_model_server: InMemorySpanExporter,
) -> None:
    create_tables(url)
    for number, picture in enumerate(pictures.draw(1, 2), start=1):
        add_product(url, f"Product {number}", picture)
    with collector() as (address, spans):
        variables = {
            "EMBEDDING_SERVER_URL": model_server,
            "ALLOW_PRIVATE_IMAGES": pictures.host,
            "OTEL_EXPORTER_OTLP_ENDPOINT": address,
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
        }
        assert shelfsight("backfill", "--all", "--batch-size", "1", **variables).returncode == 0
        see_the_pages(spans, of_the_model_server)
        spans.clear()
        of_the_model_server.clear()
        with shelfsight.started("serve", "--port", "0", **variables) as process:
            _, server = address_of(process)
            body = {"imageBase64": b64encode(png(draw(1))).decode()}
            answer = send(server + SCAN, body, traceparent=f"00-{TRACE}-{PARENT}-01")
            assert answer.status == 200
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, out, err) == (0, "", "")
        see_the_scan(spans, of_the_model_server)


def see_the_pages(spans: list[CollectedSpan], server: InMemorySpanExporter) -> None:
    roots = [span for span in spans if span.name == "backfill.page"]
    assert [(root.parent, root.service) for root in roots] == [("", "shelfsight-backfill")] * 2
    assert {root.attributes["shelfsight.products"] for root in roots} == {1}
    for root in roots:
        parts = [span for span in spans if span.parent == root.id]
        assert sorted(part.name for part in parts) == ["embed", "fetch", "read", "store"]
        assert {part.trace for part in parts} == {root.trace}
        assert sum(part.nanoseconds for part in parts) <= root.nanoseconds
    asked = {span.parent.span_id for span in server.get_finished_spans() if span.parent}
    embedding = {int(span.id, 16) for span in spans if span.name == "embed"}
    assert embedding <= asked


def see_the_scan(spans: list[CollectedSpan], server: InMemorySpanExporter) -> None:
    assert {(span.trace, span.service) for span in spans} == {(TRACE, "shelfsight-serve")}
    (request,) = (span for span in spans if span.parent == PARENT)
    assert request.name == f"POST {SCAN}"
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": SCAN,
        "http.response.status_code": 200,
    }
    steps = {span.name: span for span in spans if span.parent == request.id}
    assert steps.keys() == {"decode", "embed", "search", "rank"}
    (embedding,) = (
        span
        for span in server.get_finished_spans()
        if span.parent and f"{span.parent.span_id:016x}" == steps["embed"].id
    )
    assert embedding.name == "POST /embed/image"


def test_without_the_variables_no_package_of_it_is_imported(url: str) -> None:
    create_tables(url)
    assert "opentelemetry" not in imported("backfill", "--dry-run", "--database-url", url)


@pytest.mark.parametrize(
    ("variables", "are_on"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "shop"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, False),
    ],
)
def test_the_standard_variables_switch_traces_on(
    variables: dict[str, str], are_on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert trace_settings().are_on is are_on


@pytest.mark.parametrize(
    ("protocol", "missing", "said"),
    [
        ("grpc", "none", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"),
        ("http/protobuf", "opentelemetry.sdk.resources", r"pip install '.\[otel\]'"),
    ],
)
def test_what_cannot_be_exported_is_refused_at_the_start(
    protocol: str, missing: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setattr(sys, "stderr", StringIO())
    with pytest.raises(SettingsError, match=said):
        start_telemetry(Settings(), "serve")
    assert not traces.is_on()
