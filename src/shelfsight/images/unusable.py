"""Why a picture cannot be had: carried up as an exception, handed on as a value."""

from shelfsight.records import Failure, Stage


class UnusablePictureError(Exception):
    """This one picture cannot be had or read; `failure` says why."""

    def __init__(
        self, kind: str, message: str, *, stage: Stage = Stage.FETCH, retryable: bool = False
    ) -> None:
        super().__init__(message)
        self.failure = Failure(stage=stage, kind=kind, message=message, retryable=retryable)
