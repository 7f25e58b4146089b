"""The error that a server's refusal becomes."""

from collections.abc import Mapping

import httpx


class ShelfsightError(Exception):
    """The server refused a request, or could not answer it.

    Attributes:
        status: the HTTP status.
        kind: a stable word, such as `not_an_image` or `rate_limited`.
        detail: what is wrong, for people.
        retry_after: seconds after which to try again, if the server says so.
    """

    def __init__(
        self, status: int, problem: Mapping[str, object], retry_after: float | None = None
    ) -> None:
        self.status = status
        self.kind = str(problem.get("type", "unknown")).rpartition(":")[2]
        self.detail = str(problem.get("detail", f"the server answered with status {status}"))
        self.retry_after = retry_after
        super().__init__(self.detail)


def refusal(response: httpx.Response) -> ShelfsightError:
    """Return the error that a response with a status of 400 or more describes."""
    try:
        problem = response.json()
    except ValueError:
        problem = None
    seconds = response.headers.get("Retry-After", "")
    return ShelfsightError(
        response.status_code,
        problem if isinstance(problem, dict) else {},
        float(seconds) if seconds.isdecimal() else None,
    )
