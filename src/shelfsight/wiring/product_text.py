"""Says what the texts of products are made of, where the settings and the stored texts differ."""

from shelfsight.postgres.connection import Transactions
from shelfsight.records import TEXT_FIELDS, TextField
from shelfsight.settings import Settings
from shelfsight.wiring.database import content


def text_change(settings: Settings, database: Transactions) -> str | None:
    """Return what to say before a run if `PRODUCT_TEXT` is not what the stored texts are made of.

    Raises:
        DatabaseError: the database cannot be used.
    """
    from shelfsight.catalog.stored_text_fields import stored_text_fields

    wanted = content(settings).text_fields
    stored = wanted and database.run(stored_text_fields, read_only=True)
    if not stored or stored == wanted:
        return None
    return (
        f"PRODUCT_TEXT: the stored texts are made of {_listed(stored)}, new ones of"
        f" {_listed(wanted or ())}; texts that differ by that are embedded again"
    )


def text_summary(settings: Settings, fields: tuple[TextField, ...]) -> str:
    """Return what texts are made of, and how to have the default of new sets of vectors."""
    summary = f"made of {_listed(fields)}"
    if settings.product_text is not None or fields == TEXT_FIELDS:
        return summary
    return (
        f"{summary}, as the stored ones; new sets also have {_listed(_others(fields))}:"
        f" PRODUCT_TEXT={','.join(TEXT_FIELDS)} embeds again what differs by that"
    )


def _others(fields: tuple[TextField, ...]) -> tuple[TextField, ...]:
    return tuple(field for field in TEXT_FIELDS if field not in fields)


def _listed(fields: tuple[TextField, ...]) -> str:
    return ", ".join(fields)
