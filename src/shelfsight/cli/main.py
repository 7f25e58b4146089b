"""`shelfsight`: the commands, and how an error becomes one line and an exit status."""

import sys
import traceback

import click

from shelfsight import __version__
from shelfsight.cli.backfill_command import backfill
from shelfsight.cli.catalog_commands import import_file, init, status
from shelfsight.cli.demo_command import demo
from shelfsight.cli.doctor_command import doctor
from shelfsight.cli.failures_command import failures
from shelfsight.cli.index_command import index
from shelfsight.cli.keys_command import keys
from shelfsight.cli.models_command import models
from shelfsight.cli.prune_command import prune
from shelfsight.cli.retry_command import retry
from shelfsight.cli.runs_command import runs
from shelfsight.cli.scan_command import scan
from shelfsight.cli.serve_command import serve
from shelfsight.cli.serve_models_command import serve_models
from shelfsight.cli.watch_command import watch
from shelfsight.errors import ShelfsightError

INTERRUPTED = 130


HELP = """Visual product search for the Postgres a shop already has.

\b
See it work:        shelfsight demo
Your own database:  export DATABASE_URL=postgresql://...
                    shelfsight init
                    shelfsight backfill --all
                    shelfsight scan photo.jpg

Every setting is an environment variable, a line of .env, or a flag.
"""


@click.group(
    help=HELP, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, message="shelfsight %(version)s")
@click.option("--debug", is_flag=True, help="Show a traceback where something goes wrong.")
def shelfsight(debug: bool) -> None:
    """Every command hangs below this one."""


for command in (
    *(backfill, watch, runs, failures, retry, prune, init, import_file, status, scan, index),
    *(models, serve, keys, serve_models, doctor, demo),
):
    shelfsight.add_command(command)


def main() -> None:
    """Run the command line, and exit."""
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    sys.exit(_run([argument for argument in arguments if argument != "--debug"], debug=debug))


def _run(arguments: list[str], *, debug: bool) -> int:
    try:
        return _status(shelfsight.main(arguments, prog_name="shelfsight", standalone_mode=False))
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except ShelfsightError as error:
        if debug:
            traceback.print_exception(error)
        for line in str(error).splitlines():
            click.echo(f"shelfsight: {line}", err=True)
        return error.exit_status


def _status(result: object) -> int:
    return result if isinstance(result, int) else 0
