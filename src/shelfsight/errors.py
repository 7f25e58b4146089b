"""The errors that end a command, each with its exit status.

The failure of a single product is not an error but a value, `records.Failure`. An exception that is
not a `ShelfsightError` is a bug, and is shown with a traceback.
"""


class ShelfsightError(Exception):
    """The command cannot continue. The message says what happened, where, and what to do."""

    exit_status = 1


class SettingsError(ShelfsightError):
    """A setting has an invalid value. The message names it, its value and what is allowed."""

    exit_status = 2


class SelectionError(ShelfsightError):
    """A selection of products is not valid, according to shelfsight or to Postgres (`--where`)."""

    exit_status = 2


class FilterError(ShelfsightError):
    """A scan has a filter on a column that the shop's tables lack."""

    exit_status = 2


class DatabaseError(ShelfsightError):
    """The database cannot be reached, lacks something, or denies a right."""


class DatabaseAwayError(DatabaseError):
    """The database cannot be reached now: it is down, is starting, or has no free connection."""


class DatabaseTimeoutError(DatabaseError):
    """A statement reached a time limit of the database. Later, or in parts, it may succeed."""


class LockTimeoutError(DatabaseTimeoutError):
    """A lock that another transaction holds did not become free within `lock_timeout`."""


class SchemaError(DatabaseError):
    """Tables or columns are missing, or the columns do not have the dimensions of the vectors."""


class CatalogueChangedError(SchemaError):
    """A table or a column of the shop is gone that a run has read."""


class PresetError(ShelfsightError):
    """A preset of the catalogue cannot be read, or does not fit the database."""

    exit_status = 2


class NoCatalogError(ShelfsightError):
    """The database holds a shop under other names, and nobody has said how to read it."""


class EmbeddedDatabaseError(DatabaseError):
    """The embedded Postgres could not be started or stopped."""


class ModelError(ShelfsightError):
    """A model cannot be loaded, or its output differs from its specification."""


class ModelMismatchError(ModelError):
    """The stored vectors were made by other models than the models in use now."""


class ServerError(ShelfsightError):
    """A server cannot be started, does not answer, or is not an embedding server."""


class DecoderError(ShelfsightError):
    """No process that decodes pictures can be started."""


class EngineError(ShelfsightError):
    """Workers cannot be started or used: Ray, its cluster or a compatible shelfsight is missing."""


class ImportFileError(ShelfsightError):
    """The file to import cannot be read in the format that it claims to have."""

    exit_status = 2


class UnconfirmedError(ShelfsightError):
    """The command would take away a large part of what is there, and nobody confirmed it."""


class UnconfirmedLossError(UnconfirmedError):
    """The run would take away many of the stored vectors, and nobody confirmed it."""

    exit_status = 2


class PictureError(ShelfsightError):
    """The photo of a scan cannot be read as a picture."""

    exit_status = 2


def install_command(extra: str) -> str:
    """Return the command that installs an extra from a clone of the repository."""
    return f"in the clone of shelfsight run: pip install '.[{extra}]'"
