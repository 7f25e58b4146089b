"""The kinds of failures: whose fault each one is, and what to do about it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from shelfsight.records import Failure


class Fault(StrEnum):
    """Whose fault a failure is."""

    CONTENT = "content"
    """The shop's content: only another picture or text can help."""

    HOST = "host"
    """The host of the picture: it may answer differently another day."""

    SETTINGS = "settings"
    """The settings of shelfsight: other settings can help at once."""

    SERVER = "server"
    """The model, in this process or on the embedding server."""


@dataclass(frozen=True, slots=True)
class FailureKind:
    """Whose fault a kind of failure is, and the cure in a few words.

    `settings` are the settings that may have caused it: the product is due again as soon as one of
    them has another value.
    """

    fault: Fault
    cure: str
    settings: tuple[str, ...] = ()


_BROKEN_FILE = FailureKind(Fault.CONTENT, "replace the picture")
_NO_FILE = FailureKind(
    Fault.SETTINGS,
    "set IMAGE_ROOT to the folder that has the file, or correct the path",
    ("image_root", "image_base_url"),
)
_HOST_DOWN = FailureKind(Fault.HOST, "see whether the host is up; it is tried again by itself")
_REFUSED_ITEM = FailureKind(Fault.SERVER, "see the log of the embedding server")

KINDS: Mapping[str, FailureKind] = {
    "http_304": FailureKind(Fault.HOST, "look at the cache of the host"),
    "http_404": FailureKind(Fault.HOST, "correct the picture's address, or put the file there"),
    "http_429": _HOST_DOWN,
    "timeout": _HOST_DOWN,
    "unresolvable": FailureKind(Fault.HOST, "correct the picture's address, or the DNS"),
    "connection_failed": _HOST_DOWN,
    "tls_failed": FailureKind(Fault.HOST, "renew the certificate of the host"),
    "too_many_redirects": FailureKind(Fault.HOST, "correct the picture's address"),
    "host_paused": _HOST_DOWN,
    "forbidden_address": FailureKind(
        Fault.SETTINGS,
        "name the host in ALLOW_PRIVATE_IMAGES, if you trust it",
        ("allow_private_images",),
    ),
    "bad_address": FailureKind(
        Fault.SETTINGS,
        "correct the address; if it is a path, set IMAGE_ROOT or IMAGE_BASE_URL",
        ("image_root", "image_base_url"),
    ),
    "forbidden_path": _NO_FILE,
    "file_not_found": _NO_FILE,
    "file_unreadable": FailureKind(
        Fault.SETTINGS, "give this user the right to read the file", ("image_root",)
    ),
    "empty": _BROKEN_FILE,
    "not_an_image": _BROKEN_FILE,
    "unsupported_format": FailureKind(
        Fault.CONTENT, "convert the picture to JPEG, PNG, WebP, AVIF, HEIC, GIF, BMP or TIFF"
    ),
    "blank": FailureKind(Fault.CONTENT, "replace the picture; nothing is seen in it"),
    "broken_image": _BROKEN_FILE,
    "too_large": FailureKind(Fault.CONTENT, "make the picture's file smaller"),
    "too_many_pixels": FailureKind(Fault.CONTENT, "make the picture smaller"),
    "too_slow_to_decode": _BROKEN_FILE,
    "too_much_memory": FailureKind(Fault.CONTENT, "make the picture smaller"),
    "decode_timeout": FailureKind(
        Fault.CONTENT, "replace the picture, unless the machine was busy; it is tried again"
    ),
    "decoder_crashed": FailureKind(
        Fault.CONTENT, "replace the picture, unless memory was short; it is tried again"
    ),
    "no_content": FailureKind(Fault.CONTENT, "give the product a title or a picture"),
    "empty_text": FailureKind(Fault.CONTENT, "give the product a title"),
    "model_error": FailureKind(Fault.SERVER, "change this picture or text; the model refuses it"),
    "non_finite": FailureKind(Fault.SERVER, "change this picture or text; the model fails at it"),
    "out_of_memory": FailureKind(
        Fault.SERVER, "shorten its text, or give this machine more memory, then: shelfsight retry"
    ),
    "bad_vector": _REFUSED_ITEM,
    "no_answer": _REFUSED_ITEM,
    "bad_answer": _REFUSED_ITEM,
}
"""All kinds whose names are known. Others are covered by `kind_of`."""

_OTHER_STATUS = FailureKind(Fault.HOST, "ask the host why it does not give the picture")


def kind_of(name: str) -> FailureKind:
    """Return what is known about a kind of failure.

    A kind that is not in `KINDS` is another HTTP status of a picture's host, or a word of the
    embedding server.
    """
    if name.startswith("http_5"):
        return _HOST_DOWN
    return KINDS.get(name, _OTHER_STATUS if name.startswith("http_") else _REFUSED_ITEM)


def cures(failures: Mapping[str, int]) -> list[str]:
    """Return a line for each kind of failure, the most frequent first: kind, count and cure."""
    return [
        f"{kind} {count}: {kind_of(kind).cure}" for kind, count in Counter(failures).most_common()
    ]


def is_absence(failure: Failure) -> bool:
    """Return whether a failure only says that there is nothing to embed."""
    return failure.kind in {"no_content", "empty_text"}
