"""The error for a picture that cannot be used; it contains the failure to store."""

from shelfsight.records import Failure, Stage


class UnusablePictureError(Exception):
    """A picture cannot be fetched or decoded; `failure` has the reason."""

    def __init__(
        self, kind: str, message: str, *, stage: Stage = Stage.FETCH, retryable: bool = False
    ) -> None:
        super().__init__(message)
        self.failure = Failure(stage=stage, kind=kind, message=message, retryable=retryable)

    @classmethod
    def of(cls, failure: Failure) -> "UnusablePictureError":
        """Return the error of a failure."""
        return cls(failure.kind, failure.message, stage=failure.stage, retryable=failure.retryable)


def undecodable(kind: str, message: str) -> UnusablePictureError:
    """Return the error of a file that cannot be decoded."""
    return UnusablePictureError(kind, message, stage=Stage.DECODE)


def broken(reason: str) -> UnusablePictureError:
    """Return the error of a damaged file; `reason` is the decoder's own message."""
    line = "".join(char if char.isprintable() else " " for char in reason[:100])
    return undecodable("broken_image", f"the picture is broken: {line}")
