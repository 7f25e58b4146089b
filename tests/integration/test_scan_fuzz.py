"""Fuzzes the scan server: valid and invalid requests get responses as its OpenAPI document says."""

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.integration.scan_server import prepared, scan_server
from tests.shop import backfill_all, fill

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]

WITH_INPUT = [
    ("POST", "/products/orchestrate/quick-scan"),
    ("POST", "/products/orchestrate/quick-scan/stream"),
    ("POST", "/products/orchestrate/boxes"),
    ("POST", "/products/feedback"),
    ("GET", "/products/{id}/similar"),
    ("GET", "/catalogue/map/places"),
    ("GET", "/catalogue/variants"),
    ("GET", "/catalogue/picture/{id}"),
]
WITHOUT_INPUT = [
    ("GET", "/health"),
    ("GET", "/ready"),
    ("GET", "/metrics"),
    ("GET", "/catalogue/state"),
    ("GET", "/catalogue/map"),
]


@pytest.fixture(scope="module")
def document(server: str) -> Iterator[schemathesis.BaseSchema]:
    with prepared(server, "scan_fuzz") as database:
        fill(database, 8, pictures=True)
        backfill_all(database)
        with scan_server(database) as url:
            yield schemathesis.openapi.from_url(f"{url}/openapi.json")


def test_every_operation_is_tried(document: schemathesis.BaseSchema) -> None:
    found = {(one.ok().method.upper(), one.ok().path) for one in document.get_all_operations()}
    assert found == {*WITH_INPUT, *WITHOUT_INPUT}


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize(("method", "path"), WITH_INPUT)
def test_whatever_is_sent_the_answer_is_as_the_document_says(
    document: schemathesis.BaseSchema, method: str, path: str, mode: GenerationMode
) -> None:
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=document[path][method].as_strategy(generation_mode=mode))
    def try_it(case: schemathesis.Case) -> None:
        case.call_and_validate(checks=CHECKS, timeout=60)

    try_it()


@pytest.mark.parametrize(("method", "path"), WITHOUT_INPUT)
def test_what_takes_no_input_answers_as_the_document_says(
    document: schemathesis.BaseSchema, method: str, path: str
) -> None:
    document[path][method].Case().call_and_validate(checks=CHECKS, timeout=60)
