"""The command `shelfsight failures`, which shows what failed, by kind."""

import json
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING

import click

from shelfsight.backfill.failure_kinds import kind_of
from shelfsight.backfill.report import one_line
from shelfsight.cli.options import DATABASE, Command
from shelfsight.settings import Settings
from shelfsight.storage.failure_report import by_kind as failed_kinds
from shelfsight.storage.failure_report import one_by_one as failed_products
from shelfsight.wiring.database import open_database

if TYPE_CHECKING:
    from shelfsight.storage.failure_report import FailedKind, FailedProduct


@click.command(cls=Command, settings=DATABASE)
@click.option("--kind", help="The products of this kind, one by one, the latest first.")
@click.option("--host", help="Only pictures of this host, such as cdn.example.com.")
@click.option(
    "--limit",
    default=20,
    show_default=True,
    type=click.IntRange(1),
    help="How many products, with --kind.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def failures(
    settings: Settings, kind: str | None, host: str | None, limit: int, as_json: bool
) -> None:
    """Show what failed, by kind.

    Each kind is shown with the number of products, the time of the next attempt, whose fault it is
    (content, host, settings or server), what to do, and an example. From that time on, a backfill
    tries again by itself; `shelfsight retry` tries again at once. If the content is at fault, it is
    tried again when it changes. If the settings are, it is also tried again once they are changed.
    """
    host = host and host.lower()
    with open_database(settings) as database:
        kinds = failed_kinds(database, kind, host)
        products = failed_products(database, kind, host, limit=limit) if kind else []
    if as_json:
        for one in map(_product_fields, products) if kind else map(_kind_fields, kinds):
            click.echo(json.dumps(one, ensure_ascii=False))
    elif not kinds:
        click.echo("Nothing has failed like this." if kind or host else "Nothing has failed.")
    else:
        shown = map(_product_lines, products) if kind else map(_kind_lines, kinds)
        click.echo("\n".join(chain.from_iterable(shown)))
        if kind and kinds[0].products > len(products):
            click.echo(f"{len(products)} of {kinds[0].products} products; more with --limit")


def _kind_lines(one: "FailedKind") -> tuple[str, ...]:
    known = kind_of(one.kind)
    return (
        f"{one.kind}: {_counted(one.products, 'product')}, {_tried(one)}",
        f"  {known.fault}: {known.cure}",
        f"  such as {_name(one)}",
        f"    {one_line(one.message)}",
    )


def _product_lines(one: "FailedProduct") -> tuple[str, ...]:
    return f"{_name(one)}: {_tried(one)}", f"  {one_line(one.message)}"


def _tried(one: "FailedKind | FailedProduct") -> str:
    return f"{_counted(one.attempts, 'attempt')}, the next {_when(one.next_attempt)}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _name(one: "FailedKind | FailedProduct") -> str:
    title = one_line(one.title)
    return f"{title} ({one.id})" if title else one.id


def _when(moment: datetime | None) -> str:
    if moment is None:
        return "when its content changes"
    if moment <= datetime.now(UTC):
        return "with the next backfill"
    return f"from {moment.astimezone():%Y-%m-%d %H:%M} on"


def _kind_fields(one: "FailedKind") -> dict[str, object]:
    known = kind_of(one.kind)
    return {
        "kind": one.kind,
        "fault": known.fault,
        "cure": known.cure,
        "products": one.products,
        "attempts": one.attempts,
        "next_attempt": one.next_attempt and one.next_attempt.isoformat(),
        "example": {"id": one.id, "title": one.title, "message": one.message},
    }


def _product_fields(one: "FailedProduct") -> dict[str, object]:
    return {
        "kind": one.kind,
        "id": one.id,
        "title": one.title,
        "message": one.message,
        "host": one.host,
        "attempts": one.attempts,
        "next_attempt": one.next_attempt and one.next_attempt.isoformat(),
    }
