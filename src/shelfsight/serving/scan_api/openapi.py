"""The OpenAPI document: bodies that are read by hand are described here, and every refusal."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from shelfsight.serving.scan_api.problems import PROBLEM_JSON, Problem
from shelfsight.serving.scan_api.requests import FeedbackBody, ScanBody

_COMPONENT = "#/components/schemas/{model}"


def _refer(name: str) -> dict[str, str]:
    return {"$ref": _COMPONENT.format(model=name)}


def _body(content: dict[str, Any]) -> dict[str, Any]:
    return {
        "requestBody": {"required": True, "content": content},
        "security": [{"key": []}, {}],
    }


_FORM = {
    "type": "object",
    "properties": {
        "file": {"type": "array", "items": {"type": "string", "format": "binary"}},
        **{
            name: {"type": "string"}
            for name in ("textQuery", "imageUrl", "filters", "weights", "limit", "threshold")
        },
        "groupBy": {"enum": ["variant", "product"]},
        "combineImages": {"enum": ["true", "false"]},
    },
}

SCAN = _body(
    {
        "application/json": {"schema": _refer("ScanBody")},
        "multipart/form-data": {"schema": _FORM},
    }
)
FEEDBACK = _body({"application/json": {"schema": _refer("FeedbackBody")}})


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The answers of an endpoint that refuses; each guarded one has 401, 403, 429 and 503."""
    content = {PROBLEM_JSON: {"schema": _refer("Problem")}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        for status in sorted({401, 403, 429, 503, *statuses})
    }


def describe(app: FastAPI) -> None:
    """Complete the app's document: shapes of bodies and problems, and how to send a key.

    To be called once all routes are there.
    """
    components = app.openapi().setdefault("components", {})
    _, shapes = models_json_schema(
        [(shape, "validation") for shape in (ScanBody, FeedbackBody, Problem)],
        ref_template=_COMPONENT,
    )
    components.setdefault("schemas", {}).update(shapes["$defs"])
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
