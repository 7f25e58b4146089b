"""Everything that ends a command, each with the exit status it ends it with.

A product's own failure is not here: it is a value, `records.Failure`.
An exception that is not a `ShelfsightError` is a bug, and shows a traceback.
"""


class ShelfsightError(Exception):
    """The command cannot go on: one line that says what, where and what to do."""

    exit_status = 1


class SettingsError(ShelfsightError):
    """A setting makes no sense: names the variable, its value and what is allowed."""

    exit_status = 2


class SelectionError(ShelfsightError):
    """The choice of products is refused, by us or by Postgres (`--where`)."""

    exit_status = 2


class FilterError(ShelfsightError):
    """A scan is filtered by something that the shop's tables do not have."""

    exit_status = 2


class DatabaseError(ShelfsightError):
    """The database cannot be reached, or lacks what is needed, or refuses a right."""


class DatabaseAwayError(DatabaseError):
    """The database cannot be reached now: it is down, starts, or takes no more connections."""


class SchemaError(DatabaseError):
    """Tables or columns are missing, or have another shape than the vectors."""


class EmbeddedDatabaseError(DatabaseError):
    """The embedded Postgres could not be started or stopped."""


class ModelError(ShelfsightError):
    """A model cannot be loaded, or does not give what its row in the table says."""


class ModelMismatchError(ModelError):
    """The stored vectors come from other models than this run would write."""


class ServerError(ShelfsightError):
    """The embedding server cannot be used: away for too long, or not one at all."""


class EngineError(ShelfsightError):
    """Those who were to do the work cannot be had: Ray, its cluster, or its workers."""


class ImportFileError(ShelfsightError):
    """The file to import cannot be read as what it claims to be."""

    exit_status = 2


class PictureError(ShelfsightError):
    """The photo given to a scan is not a picture that can be read."""

    exit_status = 2
