"""Decodes JSON in the shape of a pydantic model, and stops at the first thing that does not fit.

pydantic reports every error of a document, so a large wrong document would cost many times what it
weighs. Here msgspec decodes the document against types that are derived from the model: unknown
fields, wrong types and lists that are too long are refused. What is left is as small as the model
allows, and pydantic checks the values. A field of the type `object` may have any value, of which
only `True` is kept: that it was there.
"""

import types
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from annotated_types import MaxLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

MAX_STRINGS = 5_000
"""Keys and strings in a document; the largest request has 2,048 texts."""

_SMALL = 500_000
"""Bytes of a document whose strings are not counted, since they cost little however many."""

_SCALAR = Annotated[str, msgspec.Meta(max_length=200)] | int | float | bool | None


class ShapeError(Exception):
    """The document is JSON, but not of the model's shape. `path` says where, such as `images.0`."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path


class NotJsonError(Exception):
    """The document is not JSON."""


def decode(document: bytes, model: type[BaseModel]) -> dict[str, Any]:
    """Return the fields of a document, under the names that it uses.

    Raises:
        NotJsonError: the document is not JSON, or is nested too deeply.
        ShapeError: the document does not fit the model, or has too many strings.
    """
    if _has_many_strings(document):
        raise ShapeError("", f"there are more than {MAX_STRINGS:,} strings in the body")
    try:
        decoded = _decoder(model).decode(document)
        fields: dict[str, Any] = msgspec.to_builtins(decoded, enc_hook=lambda _: True)
    except msgspec.ValidationError as error:
        raise _shape_error(str(error), model) from None
    except RecursionError:
        raise NotJsonError("the JSON is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotJsonError(f"this is not JSON: {error}") from None
    return fields


def embed(value: str) -> msgspec.Raw:
    """Return a text that contains JSON as a part of a larger document.

    Raises:
        ValueError: the text is not one JSON value.
    """
    try:
        return msgspec.json.decode(value, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        raise ValueError("this field holds JSON") from None


def _has_many_strings(document: bytes) -> bool:
    if len(document) < _SMALL:
        return False
    quotes = document.count(b'"')
    if quotes <= 2 * MAX_STRINGS:
        return False
    escaped = document.count(b'\\"')
    return quotes - escaped > 2 * MAX_STRINGS


def _shape_error(error: str, model: type[BaseModel]) -> ShapeError:
    """Translate an error of msgspec; the description of the field says what to send instead."""
    message, _, place = error.replace("`", "").partition(" - at $")
    path = place.replace("[", ".").replace("]", "").strip(".")
    field = model.model_fields.get(path.partition(".")[0])
    hint = f"; {field.description}" if field and field.description else ""
    return ShapeError(path, message + hint)


def _refuse_empty(value: msgspec.Struct) -> None:
    if all(field is msgspec.UNSET for field in msgspec.structs.astuple(value)):
        raise ValueError(f"give {' or '.join(value.__struct_fields__)}")


@cache
def _decoder(model: type[BaseModel]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(_struct(model), strict=True)


@cache
def _struct(model: type[BaseModel], *, may_be_empty: bool = True) -> type[msgspec.Struct]:
    """Return a struct with the fields of a model, each optional, under all of its names."""
    fields: list[tuple[str, object, object]] = []
    for name, field in model.model_fields.items():
        is_unread = field.annotation is object
        shape = msgspec.Raw if is_unread else _union(_shape_of_field(field), msgspec.UnsetType)
        names = (
            {name, field.alias or name} if model.model_config.get("validate_by_name") else {name}
        )
        fields += [(one, shape, msgspec.UNSET) for one in sorted(names)]
    return msgspec.defstruct(
        model.__name__,
        fields,
        namespace={} if may_be_empty else {"__post_init__": _refuse_empty},
        kw_only=True,
        forbid_unknown_fields=model.model_config.get("extra") == "forbid",
    )


def _union(*shapes: object) -> object:
    union: Any = Union
    return union[shapes]


def _shape_of_field(field: FieldInfo) -> object:
    longest = [limit.max_length for limit in field.metadata if isinstance(limit, MaxLen)]
    return _shape(field.annotation, longest[0] if longest else None)


def _shape_of_item(kind: object) -> object:
    """Return the shape of an item of a list; it is not an empty object, which weighs too little."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _struct(kind, may_be_empty=False)
    return _shape(kind)


def _shape(kind: object, longest: int | None = None) -> object:
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _shape(parts[0], longest)
    if origin in (Union, types.UnionType):
        return _union(*(_shape(part, longest) for part in parts))
    if origin in (list, dict):
        inner = tuple(_shape_of_item(part) for part in parts)
        shape = types.GenericAlias(origin, inner)
        return shape if longest is None else Annotated[shape, msgspec.Meta(max_length=longest)]
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _struct(kind)
    if kind in (str, type(None)) or origin is Literal:
        return str if origin is Literal else kind
    return _SCALAR
