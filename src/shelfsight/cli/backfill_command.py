"""The command `shelfsight backfill`, which embeds the products that are due."""

import os
import sys
from dataclasses import dataclass
from typing import Any

import click

from shelfsight.backfill.losses import RunPolicy
from shelfsight.backfill.pipeline import no_product
from shelfsight.backfill.progress import Progress
from shelfsight.backfill.progress_output import choose
from shelfsight.backfill.report import Report
from shelfsight.backfill.runs import Job
from shelfsight.cli.next_command import command_for_all, command_for_failed, command_for_scan
from shelfsight.cli.options import (
    BATCHES,
    CALIBRATING,
    DATABASE,
    FETCHING,
    LOGS,
    MODELS,
    RUNNING,
    SELECTION,
    WEIGHTS,
    Command,
)
from shelfsight.cli.options import selection as selection_of
from shelfsight.engines.cluster_options import ClusterOptions
from shelfsight.engines.local import interruptible
from shelfsight.errors import ShelfsightError
from shelfsight.postgres.connection import Database
from shelfsight.records import Selection
from shelfsight.settings import Settings
from shelfsight.storage.runs.run_store import PostgresLedger
from shelfsight.telemetry.logs import notifier
from shelfsight.wiring.database import content, database_name, open_database
from shelfsight.wiring.embedder import models_name
from shelfsight.wiring.engine import Engine, open_engine
from shelfsight.wiring.first_calibration import calibrate_first, remind_to_calibrate
from shelfsight.wiring.index_load import indexes_during_load
from shelfsight.wiring.product_text import text_change
from shelfsight.wiring.staging import count_due, open_version


@click.command(
    cls=Command, settings=(*BATCHES, *MODELS, *DATABASE, *WEIGHTS, *FETCHING, *CALIBRATING, *LOGS)
)
@click.option(
    "--defer-index",
    is_flag=True,
    help="For a large load, drop our indexes and build them after it.",
)
@click.option(
    "--staged",
    is_flag=True,
    help="Build vectors of other models next to those in use, for: shelfsight models --switch.",
)
@click.option("--beside", is_flag=True, hidden=True, deprecated="say --staged")
@click.option(
    "--join", is_flag=True, help="Work on the run that is open, with its selection and batches."
)
@click.option("--new", is_flag=True, help="Begin a run even if one of the same kind is at work.")
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Who works: this process, or the workers of a Ray cluster.",
)
@click.option("--address", metavar="HOST:PORT", help="That cluster; else this machine alone.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    help="How many; else one for every GPU, or one a machine.",
)
@click.option(
    "--gpus-per-worker",
    type=click.FloatRange(0),
    metavar="G",
    help="What each takes, also a part of one; else 1 with DEVICE=cuda.",
)
def backfill(settings: Settings, **arguments: Any) -> int:
    """Give every product its image, text and combined vector.

    Products that already have their vectors are skipped, unless their title, description or picture
    addresses have changed. With --refetch, pictures are requested again, and an image is embedded
    again if the picture at its address has changed. If the command was stopped, run it again to
    continue. If the same command runs on a second machine, both share the work.

    A column that an earlier run has read and that is gone ends the run before anything is changed.
    A run that would take away more than a tenth of the image, text or combined vectors asks first,
    and ends if there is no terminal. --yes accepts both.

    If no calibration comes with the models, the first run that leaves nothing due calibrates them
    on about 200 of the pictures, so that matches have a probability (see `shelfsight calibrate`).

    Exit status: 0 done; 1 nothing could be embedded, or an error ended the run; 2 wrong usage, or
    not confirmed; 3 done, but something that was due failed, pictures included; 130 interrupted.
    """
    chosen = selection_of(settings, arguments)
    cluster = _cluster(settings, arguments)
    arguments["staged"] |= arguments.pop("beside")
    return run_command(settings, chosen, RunOptions(cluster=cluster, **arguments))


backfill.params += (*RUNNING, *SELECTION)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The flags of the command that say how to run and what to show.

    The flags that select products are not included.
    """

    everything: bool
    dry_run: bool
    verbose: bool
    as_json: bool
    yes: bool
    join: bool = False
    new: bool = False
    defer_index: bool = False
    staged: bool = False
    cluster: ClusterOptions | None = None


def run_command(settings: Settings, chosen: Selection, options: RunOptions) -> int:
    """Embed the selected products, show the progress, and return the exit status."""
    progress = choose(as_json=options.as_json, verbose=options.verbose)
    if options.staged and options.defer_index:
        raise click.UsageError("--staged builds indexes at the switch; leave --defer-index out")
    job = _job(settings, chosen, options)
    if options.join and chosen != Selection(skip_existing=chosen.skip_existing):
        raise click.UsageError("--join works on what the open run selects; leave the selection out")
    with open_database(settings) as database:
        if options.join:
            job = _joined(database, job)
            settings = _settings_of(job, settings)
        progress.configured(_configuration(settings, job))
        with open_version(database, staged=job.staged) as written:
            if change := text_change(settings, written):
                progress.notify(change)
            if options.dry_run:
                return _dry_run(settings, written, job, progress)
            report = _run(settings, written, job, progress, options)
    return report.exit_status


def _cluster(settings: Settings, arguments: dict[str, Any]) -> ClusterOptions | None:
    """Remove the cluster's flags from the command's arguments, and return them as options."""
    engine = arguments.pop("engine")
    given = {name: arguments.pop(name) for name in ("address", "workers", "gpus_per_worker")}
    if engine == "local":
        if any(value is not None for value in given.values()):
            raise click.UsageError("--address, --workers and --gpus-per-worker need --engine ray")
        return None
    if arguments["verbose"]:
        raise click.UsageError("--verbose tells what this process does; leave --engine ray out")
    if given["address"] is not None and settings.database_url is None:
        raise click.UsageError("a cluster does not reach the embedded Postgres; set DATABASE_URL")
    here = settings.device == "cuda" and settings.embedding_server_url is None
    gpus = given.pop("gpus_per_worker")
    return ClusterOptions(gpus_per_worker=float(here) if gpus is None else gpus, **given)


def _job(settings: Settings, chosen: Selection, options: RunOptions) -> Job:
    return Job(
        selection=chosen,
        batch_size=settings.batch_size,
        max_batches=0 if options.everything else settings.max_batches,
        images_per_product=settings.images_per_product,
        text_fields=content(settings).text_fields,
        staged=options.staged,
    )


def _joined(database: Database, job: Job) -> Job:
    opened = PostgresLedger(database).newest_open().job
    if job.staged and not opened.staged:
        raise click.UsageError("the open run is not --staged: leave that out, or --join")
    return opened


def _settings_of(job: Job, settings: Settings) -> Settings:
    """Return the settings with what a job says of the content of products."""
    product_text = ",".join(job.text_fields) if job.text_fields else None
    update = {"images_per_product": job.images_per_product, "product_text": product_text}
    return settings.model_copy(update=update)


def _run(
    settings: Settings, database: Database, job: Job, progress: Progress, options: RunOptions
) -> Report:
    report, commands = Report(), (command_for_all(), command_for_failed())
    policy = RunPolicy(
        joins=not options.new,
        accepts_losses=options.yes,
        confirm=lambda what: sys.stdin.isatty() and click.confirm(f"{what}. Go on?", err=True),
    )
    with open_engine(
        settings, database, progress, policy=policy, cluster=options.cluster
    ) as engine:
        try:
            with indexes_during_load(
                engine.run_context, job, database, progress, defer=options.defer_index
            ):
                engine.run(job, report, progress)
        except KeyboardInterrupt:
            report.interrupted = True
            progress.finish(report, *commands, _next_step(job, report))
            os._exit(report.exit_status)  # end at once, because a thread may be busy in a model
        except ShelfsightError as error:
            report.broken = error.exit_status
            raise
        finally:
            progress.finish(report, *commands, _next_step(job, report))
        if not (report.interrupted or report.remaining):
            _calibrate(settings, database, engine)
    return report


def _calibrate(settings: Settings, database: Database, engine: Engine) -> None:
    """Calibrate the models if this was their first whole backfill. Ctrl-C skips it."""
    notify = notifier(lambda message: click.echo(message, err=True))
    if engine.embedder is not None:
        with interruptible(lambda: "Stopping the calibration.") as stop:
            calibrate_first(settings, database, engine.embedder, notify, stop)
    else:
        remind_to_calibrate(settings, database, engine.run_context.models, notify)


def _dry_run(settings: Settings, database: Database, job: Job, progress: Progress) -> int:
    due = count_due(settings, database, job.selection)
    products = job.products(due.products)
    if not due.selected:
        progress.notify(no_product(job.selection))
    progress.dry_run(due, products, job.batches(products))
    return 0


def _configuration(settings: Settings, job: Job) -> dict[str, str]:
    weights = settings.weights
    return {
        "Batch size": str(job.batch_size),
        "Max batches": str(job.max_batches or "no limit"),
        "Skip existing": str(job.selection.skip_existing).lower(),
        **({"Refetch": "true"} if job.selection.refetch else {}),
        "Embedding": models_name(settings),
        "Weights": f"image {weights.image:g}, text {weights.text:g}",
        "Database": database_name(settings),
    }


def _next_step(job: Job, report: Report) -> str:
    """Say what can be done with the vectors that the run stored; "" if it stored none."""
    if job.staged:
        return ""
    if report.image:
        return f"Your quick scans should now find matches. Try: {command_for_scan('photo.jpg')}"
    if report.text:
        return (
            f"Scans with words should now find matches. Try: {command_for_scan('--text', 'WORDS')}"
        )
    return ""
