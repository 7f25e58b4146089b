"""Reads the server-sent events of a scan, from the lines of a response."""

import json
from typing import cast

from shelfsight_client.errors import ShelfsightError
from shelfsight_client.responses import Event


class EventParser:
    """Makes events of lines. Each event has a name and one line of data."""

    def __init__(self) -> None:
        self._name = ""

    def event(self, line: str) -> Event | None:
        """Return the event that a line completes; None if it completes none.

        Raises:
            ShelfsightError: the event says that the scan has failed.
        """
        field, _, value = line.partition(": ")
        if field == "event":
            self._name = value
        if field != "data":
            return None
        data = json.loads(value)
        if self._name == "error":
            raise ShelfsightError(data["status"], data)
        return cast(Event, {"event": self._name, "data": data})


def broken_off() -> ShelfsightError:
    """Return the error of a stream that ends before its last event."""
    return ShelfsightError(200, {"type": "broken_off", "detail": "the stream broke off"})
