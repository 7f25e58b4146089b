"""Adds to the OpenAPI document what FastAPI does not know: request bodies and errors."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from shelfsight.serving.scan_api.problems import PROBLEM_JSON, ProblemDetails
from shelfsight.serving.scan_api.requests import FeedbackBody, ScanBody
from shelfsight.serving.scan_api.responses import ScanProgress

_COMPONENT = "#/components/schemas/{model}"


def _reference(name: str) -> dict[str, str]:
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
            for name in ("textQuery", "imageUrl", "filters", "weights", "box", "limit", "threshold")
        },
        "groupBy": {"enum": ["variant", "product"]},
        "combineImages": {"enum": ["true", "false"]},
    },
}

SCAN = _body(
    {
        "application/json": {"schema": _reference("ScanBody")},
        "multipart/form-data": {"schema": _FORM},
    }
)
FEEDBACK = _body({"application/json": {"schema": _reference("FeedbackBody")}})


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the error responses of an endpoint: the given statuses, and those of every endpoint.

    These are 401, 403, 429, 503, and 431, with which too large a head is refused without a body.
    """
    content = {PROBLEM_JSON: {"schema": _reference("ProblemDetails")}}
    responses: dict[int | str, dict[str, Any]] = {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        for status in sorted({401, 403, 429, 503, *statuses})
    }
    return {**responses, 431: {"description": HTTPStatus(431).phrase}}


def describe(app: FastAPI) -> None:
    """Add the schemas of bodies, errors and events to the document, and how to send a key.

    Call it after all routes are registered.
    """
    components = app.openapi().setdefault("components", {})
    _, schemas = models_json_schema(
        [(model, "validation") for model in (ScanBody, FeedbackBody, ProblemDetails, ScanProgress)],
        ref_template=_COMPONENT,
    )
    components.setdefault("schemas", {}).update(schemas["$defs"])
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
