"""The errors that end a command, each with its exit status.

A product's own failure is not among them: it is a value, `records.Failure`. An exception that is
no `ShelfsightError` is a bug, and shows a traceback.
"""


class ShelfsightError(Exception):
    """The command cannot go on; the message says what happened, where, and what to do."""

    exit_status = 1


class SettingsError(ShelfsightError):
    """A setting makes no sense. The message names the variable, its value and what is allowed."""

    exit_status = 2


class SelectionError(ShelfsightError):
    """The selection of products is refused, by us or by Postgres (`--where`)."""

    exit_status = 2


class FilterError(ShelfsightError):
    """A scan is filtered by a column that the shop's tables lack."""

    exit_status = 2


class DatabaseError(ShelfsightError):
    """The database cannot be reached, lacks something, or refuses a right."""


class DatabaseAwayError(DatabaseError):
    """The database cannot be reached now: it is down, starting, or out of connections."""


class SchemaError(DatabaseError):
    """Tables or columns are missing, or do not fit the vectors."""


class EmbeddedDatabaseError(DatabaseError):
    """The embedded Postgres could not be started or stopped."""


class ModelError(ShelfsightError):
    """A model cannot be loaded, or returns something else than its specification says."""


class ModelMismatchError(ModelError):
    """The stored vectors come from other models than these."""


class ServerError(ShelfsightError):
    """The embedding server cannot be used: it is away for too long, or is none."""


class EngineError(ShelfsightError):
    """The workers cannot be started: Ray, its cluster or the workers are missing."""


class ImportFileError(ShelfsightError):
    """The file to import cannot be read as what it claims to be."""

    exit_status = 2


class PictureError(ShelfsightError):
    """The photo of a scan cannot be read as a picture."""

    exit_status = 2


def install_command(extra: str) -> str:
    """The command that installs an extra, from a clone of the repository."""
    return f"in the clone of shelfsight run: pip install '.[{extra}]'"
