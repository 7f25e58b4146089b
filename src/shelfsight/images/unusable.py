"""The error for a picture that cannot be used; it carries the failure that is stored."""

from shelfsight.records import Failure, Stage


class UnusablePictureError(Exception):
    """One picture cannot be fetched or decoded; `failure` says why."""

    def __init__(
        self, kind: str, message: str, *, stage: Stage = Stage.FETCH, retryable: bool = False
    ) -> None:
        super().__init__(message)
        self.failure = Failure(stage=stage, kind=kind, message=message, retryable=retryable)
