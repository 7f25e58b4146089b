"""`shelfsight backfill`."""

import os
import shlex
import sys
from dataclasses import dataclass
from typing import Any

import click

from shelfsight import wiring
from shelfsight.cli.options import BATCHES, DATABASE, MODELS, PICTURES, SELECTION, WEIGHTS, Command
from shelfsight.cli.options import selection as selection_of
from shelfsight.database import Database
from shelfsight.engines import local
from shelfsight.errors import ShelfsightError
from shelfsight.progress import Progress, choose
from shelfsight.records import Selection
from shelfsight.report import Report
from shelfsight.runs import Job
from shelfsight.settings import Settings


@click.command(cls=Command, settings=(*BATCHES, *MODELS, *DATABASE, *WEIGHTS, *PICTURES))
@click.option("--all", "everything", is_flag=True, help="No limit of batches (MAX_BATCHES=0).")
@click.option("--dry-run", is_flag=True, help="Say what would be done; no model is loaded.")
@click.option(
    "--defer-index",
    is_flag=True,
    help="For a large load, drop our indexes and build them after it.",
)
@click.option(
    "--join", is_flag=True, help="Work on the run that is open, with its selection and batches."
)
@click.option("--new", is_flag=True, help="Begin a run even if one of the same kind is at work.")
@click.option("-v", "--verbose", is_flag=True, help="Tell each product's steps.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def backfill(settings: Settings, everything: bool, dry_run: bool, **arguments: Any) -> int:
    """Give every product its image, text and combined vector.

    Products that have theirs are skipped, unless title, description or picture addresses have
    changed since. Run it again and it goes on where it stopped. The same command on a second
    machine shares the work.

    Exit status: 0 done; 1 nothing could be embedded, or the run broke; 2 wrong usage;
    3 done, but some products failed; 130 interrupted.
    """
    progress = choose(as_json=arguments.pop("as_json"), verbose=arguments.pop("verbose"))
    how = _How(**{name: arguments.pop(name) for name in ("join", "new", "defer_index")})
    job = _job(settings, selection_of(settings, arguments), everything=everything)
    with wiring.open_database(settings) as database:
        if how.join:
            job = _joined(database, job)
            settings = settings.model_copy(update={"images_per_product": job.images_per_product})
        progress.configured(_configuration(settings, job))
        if dry_run:
            return _dry_run(settings, database, job, progress)
        report = _run(settings, database, job, progress, how)
    return report.exit_status


backfill.params += SELECTION


@dataclass(frozen=True, slots=True, kw_only=True)
class _How:
    join: bool
    new: bool
    defer_index: bool


def _job(settings: Settings, chosen: Selection, *, everything: bool) -> Job:
    return Job(
        selection=chosen,
        batch_size=settings.batch_size,
        max_batches=0 if everything else settings.max_batches,
        images_per_product=settings.images_per_product,
    )


def _joined(database: Database, job: Job) -> Job:
    if job.selection != Selection(skip_existing=job.selection.skip_existing):
        raise click.UsageError("--join works on what the open run selects; leave the selection out")
    return wiring.newest_open_run(database).job


def _run(settings: Settings, database: Database, job: Job, progress: Progress, how: _How) -> Report:
    report = Report()
    with (
        wiring.open_embedder(settings, progress.say) as embedder,
        wiring.open_parts(settings, database, embedder, progress, joins=not how.new) as parts,
    ):
        try:
            with wiring.around_load(parts, job, database, progress, defer=how.defer_index):
                local.run(parts, job, report, progress)
        except KeyboardInterrupt:
            report.interrupted = True
            progress.finish(report, _command_for_all())
            os._exit(report.exit_status)  # at once: a thread may be deep in a model
        except ShelfsightError as error:
            report.broken = error.exit_status
            raise
        finally:
            progress.finish(report, _command_for_all())
    return report


def _dry_run(settings: Settings, database: Database, job: Job, progress: Progress) -> int:
    due = wiring.catalog(settings, database).due(job.selection)
    products = job.products(due.products)
    progress.dry_run(due, products, job.batches(products))
    return 0


def _configuration(settings: Settings, job: Job) -> dict[str, str]:
    weights = settings.weights
    return {
        "Batch size": str(job.batch_size),
        "Max batches": str(job.max_batches or "no limit"),
        "Skip existing": str(job.selection.skip_existing).lower(),
        "Embedding": wiring.models_name(settings),
        "Weights": f"image {weights.image:g}, text {weights.text:g}",
        "Database": wiring.database_name(settings),
    }


def _command_for_all() -> str:
    """This very command with --all, its secrets left out."""
    words, hidden = ["shelfsight"], False
    for word in sys.argv[1:]:
        flag, joined, _ = word.partition("=")
        secret = flag in {"--database-url", "--embedding-server-api-key"}
        words.append("..." if hidden else f"{flag}=..." if secret and joined else word)
        hidden = secret and not joined
    return shlex.join(words if "--all" in words else [*words, "--all"])
