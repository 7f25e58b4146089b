"""Says what a database holds that shelfsight does not know yet, and how it can be read."""

from collections.abc import Mapping

from shelfsight.catalog.views import recognition
from shelfsight.catalog.views.preset import Preset
from shelfsight.errors import NoCatalogError
from shelfsight.postgres.connection import Connection, columns
from shelfsight.postgres.statements import trusted


def refuse_other_shop(connection: Connection) -> None:
    """Refuse to create tables beside a shop that has its own.

    Raises:
        NoCatalogError: there are tables, and none of them is named as shelfsight reads them.
    """
    if columns(connection, "ProductVariants") or columns(connection, "ProductEmbeddings"):
        return
    if found := recognition.recognised(connection):
        known = "; or ".join(_next_line(connection, preset) for preset in found)
        raise NoCatalogError(f"nothing was made: this database holds {known}")
    tables = recognition.shop_tables(connection)
    if tables:
        raise NoCatalogError(_unknown_shop(tables))


def _next_line(connection: Connection, preset: Preset) -> str:
    values = {option.name: option.default for option in preset.options(connection)}
    chosen = {name: value for name, value in values.items() if value}
    select = preset.select("ProductVariants", connection, preset.values(connection, {}))
    count = trusted(f"SELECT count(*) FROM (\n{select}\n) AS read")  # noqa: S608
    ((products,),) = connection.execute(count).fetchall()
    return (
        f"{preset.about[0]} ({products} products); to read it, run:"
        f" shelfsight init --catalog {preset.name}{settings(chosen)}"
    )


def settings(values: Mapping[str, str]) -> str:
    """Return options as they are written on the command line; empty ones are left out."""
    return "".join(f" --set {name}={value}" for name, value in values.items() if value)


def _unknown_shop(tables: Mapping[str, Mapping[str, str]]) -> str:
    likely = recognition.candidates(tables)
    listed = "; ".join(str(one) for one in likely) or "none with a title or a picture"
    lines = [
        f"nothing was made: this database has {len(tables)} tables, and none is"
        f' "ProductVariants". Tables that may hold products: {listed}',
        "to read them, write two SELECTs (docs/catalogues.md), then run:"
        " shelfsight init --catalog my-shop.sql",
        "for empty tables of Shelfsight's own beside them, run: shelfsight init --new-shop",
    ]
    whole = next((one for one in likely if one.is_whole), None)
    if whole is not None:
        chosen = {
            "table": whole.table,
            "id": "" if whole.id == "id" else whole.id,
            "title": whole.title,
            "image": whole.picture,
            "description": whole.description,
        }
        given = settings({name: value for name, value in chosen.items() if value})
        lines[1:1] = [f"to read one table, run: shelfsight init --catalog flat{given}"]
    return "\n".join(lines)
