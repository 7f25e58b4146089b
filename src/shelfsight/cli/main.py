"""The command `shelfsight`: its subcommands, and how an error is shown and sets the exit status."""

import logging
import sys
import traceback
from importlib import import_module

import click

from shelfsight import __version__
from shelfsight.errors import ShelfsightError
from shelfsight.telemetry.logs import configure

INTERRUPTED = 130

_LOG = logging.getLogger("shelfsight")

SECTIONS = {
    "Set up": {
        "init": (
            "init_command:init",
            "Prepare the database: say how products are read, and create what is missing.",
        ),
        "catalog": (
            "init_command:catalog",
            "Show what is read: the preset, its options, counts, and the first products.",
        ),
        "import": (
            "import_command:import_file",
            "Import products from a shop's export, a feed, or a file of your own.",
        ),
        "doctor": ("doctor_command:doctor", "Check database, pgvector, models, server and disk."),
        "demo": ("demo_command:demo", "Draw a shop, embed it, and find ten photos in it."),
    },
    "Embed products": {
        "backfill": (
            "backfill_command:backfill",
            "Give every product its image, text and combined vector.",
        ),
        "watch": ("watch_command:watch", "Keep the catalogue embedded as it changes."),
        "retry": ("retry_command:retry", "Try again what failed, and nothing else."),
        "serve-models": ("serve_models_command:serve_models", "Serve both models over HTTP."),
    },
    "Find products": {
        "scan": ("scan_command:scan", "Find the products that photos or words show."),
        "serve": ("serve_command:serve", "Answer scans over HTTP, and show a page for them."),
        "feedback": (
            "feedback_command:feedback",
            "List the photos that people confirmed, or take them back.",
        ),
        "keys": ("keys_command:keys", "Make, list and revoke the API keys of `serve`."),
    },
    "See how it stands, and keep it well": {
        "status": ("status_command:status", "Show what is embedded, what is due, and what failed."),
        "runs": ("runs_command:runs", "List the runs of the backfill."),
        "failures": ("failures_command:failures", "Show what failed, by kind."),
        "index": ("index_command:index", "Build, drop and measure indexes for fast search."),
        "models": ("models_command:models", "Show which models made the vectors, or change them."),
        "calibrate": (
            "calibrate_command:calibrate",
            "Learn how probable a match is, from photos made of the shop's own pictures.",
        ),
        "evaluate": (
            "evaluate_command:evaluate",
            "Measure how often photos find their product, and whether probabilities are true.",
        ),
        "prune": ("prune_command:prune", "Delete what is left over in our own tables."),
        "upgrade-embedded": (
            "upgrade_embedded_command:upgrade_embedded",
            "Copy the embedded database to the Postgres that is installed now.",
        ),
    },
}
"""The sections of `shelfsight --help`: each command's module, its name there, and its summary.

The summary is the first sentence of the command's own help. It is written here so that `--help`
does not have to import all commands.
"""

HELP = """Visual product search for the Postgres a shop already has.

\b
See it work:        shelfsight demo
Your own database:  export DATABASE_URL=postgresql://...
                    shelfsight init
                    shelfsight backfill --all
                    shelfsight scan photo.jpg

Every setting is an environment variable, a line of .env, or a flag.
"""


_PLACES = {name: place for commands in SECTIONS.values() for name, (place, _) in commands.items()}


class LazyGroup(click.Group):
    """A command group that imports a subcommand only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, section by section."""
        del ctx
        return list(_PLACES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of this name and return it; None if there is none."""
        del ctx
        if cmd_name not in _PLACES:
            return None
        module, _, name = _PLACES[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"shelfsight.cli.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands under the headings of `SECTIONS`."""
        del ctx
        width = formatter.width - 6 - max(map(len, _PLACES))
        for section, commands in SECTIONS.items():
            rows = [
                (name, click.Command(name, help=summary).get_short_help_str(width))
                for name, (_, summary) in commands.items()
            ]
            with formatter.section(section):
                formatter.write_dl(rows)


@click.group(
    cls=LazyGroup,
    help=HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="shelfsight %(version)s")
@click.option("--debug", is_flag=True, help="Show a traceback where something goes wrong.")
def shelfsight(debug: bool) -> None:
    """The main command, which has all other commands as subcommands."""


def main() -> None:
    """Run the command line, and exit with its status."""
    configure("text")
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
            _LOG.error(line)
        return error.exit_status


def _status(result: object) -> int:
    return result if isinstance(result, int) else 0
