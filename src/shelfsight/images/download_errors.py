"""Turns errors of a download into `UnusablePictureError`, with a kind and a message for people."""

import os
from http.client import responses

import aiohttp

from shelfsight.images.hosts import RetryAfterError
from shelfsight.images.unusable import UnusablePictureError
from shelfsight.retry_after import retry_after

_TRANSIENT_KINDS = frozenset({"http_502", "http_503", "http_504"})
_RETRY_AFTER_STATUSES = frozenset({429, 503})
_CONNECTION_BROKEN = (
    aiohttp.ClientOSError,
    aiohttp.ClientPayloadError,
    aiohttp.ServerDisconnectedError,
    ConnectionResetError,
)


def status_error(response: aiohttp.ClientResponse) -> UnusablePictureError:
    """Return the error for a response whose status is not 200; 429 and 5xx are retryable."""
    status = response.status
    kind = f"http_{status}"
    message = f"the server says {status} {responses.get(status, '')}".strip()
    after = retry_after(response.headers) if status in _RETRY_AFTER_STATUSES else None
    if after is not None:
        return RetryAfterError(kind, message, after)
    return UnusablePictureError(kind, message, retryable=status == 429 or status >= 500)


def is_transient(error: BaseException) -> bool:
    """Return whether to retry at once: the connection broke, or the server is restarting."""
    if isinstance(error, UnusablePictureError) and error.failure.kind in _TRANSIENT_KINDS:
        return not isinstance(error, RetryAfterError)
    cause = error.__cause__
    return isinstance(cause, _CONNECTION_BROKEN) and not isinstance(
        cause, aiohttp.ClientConnectorError
    )


def download_error(error: aiohttp.ClientError | OSError) -> UnusablePictureError:
    """Return the error with a message of one line.

    The message of aiohttp is not used, because it may contain the query of an address.
    """
    match error:
        case TimeoutError():
            kind, message = "timeout", "the server takes too long"
        case aiohttp.ClientConnectorDNSError():
            kind, message = "unresolvable", "the host's name cannot be resolved"
        case aiohttp.ClientSSLError():
            return UnusablePictureError("tls_failed", _tls_reason(error))
        case aiohttp.InvalidURL():
            return UnusablePictureError("bad_address", "the address makes no sense")
        case aiohttp.ClientPayloadError():
            kind, message = "connection_failed", "the answer breaks off or cannot be unpacked"
        case aiohttp.ClientResponseError():
            kind, message = "connection_failed", "the server does not speak HTTP"
        case OSError() if error.errno:
            reason = os.strerror(error.errno)
            kind, message = "connection_failed", f"the connection failed: {reason}"
        case _:
            kind, message = "connection_failed", "the server closed the connection"
    return UnusablePictureError(kind, message, retryable=True)


def _tls_reason(error: aiohttp.ClientSSLError) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = getattr(error.certificate_error, "verify_message", "")
        return f"the server's certificate is not trusted: {reason}"
    return "the server and we do not agree on TLS"
