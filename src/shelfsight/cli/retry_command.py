"""The command `shelfsight retry`, which tries failed products again."""

from typing import Any

import click

from shelfsight.cli.backfill_command import RunOptions, run_command
from shelfsight.cli.options import (
    CALIBRATING,
    DATABASE,
    FETCHING,
    LOGS,
    MODELS,
    RUNNING,
    WEIGHTS,
    Command,
)
from shelfsight.records import Selection
from shelfsight.settings import Settings


@click.command(
    cls=Command,
    settings=(
        "batch_size",
        "max_batches",
        *MODELS,
        *DATABASE,
        *WEIGHTS,
        *FETCHING,
        *CALIBRATING,
        *LOGS,
    ),
)
@click.option(
    "--kind", "kinds", multiple=True, help="What failed in this way, such as timeout; repeatable."
)
@click.option(
    "--host",
    "hosts",
    multiple=True,
    help="Whose picture failed at this host, such as cdn.example.com; repeatable.",
)
def retry(
    settings: Settings, kinds: tuple[str, ...], hosts: tuple[str, ...], **arguments: Any
) -> int:
    """Try again what failed, and nothing else.

    Failed products are tried at once, and a failure is cleared when its product succeeds. All are
    tried unless MAX_BATCHES is set. `shelfsight failures` shows what failed, by kind. A backfill
    also tries again by itself: minutes after a timeout, a day after a 404, and after a broken
    picture once its address changes.

    Exit status: as for `shelfsight backfill`.
    """
    chosen = Selection(
        retry_failed=True,
        only_failed=True,
        kinds=tuple(sorted(set(kinds))),
        hosts=tuple(sorted({host.lower() for host in hosts})),
    )
    arguments["everything"] |= "max_batches" not in settings.model_fields_set
    return run_command(settings, chosen, RunOptions(**arguments))


retry.params += RUNNING
