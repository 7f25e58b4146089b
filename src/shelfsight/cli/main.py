"""The command `shelfsight`: its subcommands, and how an error is shown and sets the exit status."""

import sys
import traceback
from importlib import import_module

import click

from shelfsight import __version__
from shelfsight.errors import ShelfsightError

INTERRUPTED = 130

SECTIONS = {
    "Set up": {
        "init": "init_command:init",
        "catalog": "init_command:catalog",
        "import": "import_command:import_file",
        "doctor": "doctor_command:doctor",
        "demo": "demo_command:demo",
    },
    "Embed products": {
        "backfill": "backfill_command:backfill",
        "watch": "watch_command:watch",
        "retry": "retry_command:retry",
        "serve-models": "serve_models_command:serve_models",
    },
    "Find products": {
        "scan": "scan_command:scan",
        "serve": "serve_command:serve",
        "keys": "keys_command:keys",
    },
    "See how it stands, and keep it well": {
        "status": "status_command:status",
        "runs": "runs_command:runs",
        "failures": "failures_command:failures",
        "index": "index_command:index",
        "models": "models_command:models",
        "calibrate": "calibrate_command:calibrate",
        "evaluate": "evaluate_command:evaluate",
        "prune": "prune_command:prune",
        "upgrade-embedded": "upgrade_embedded_command:upgrade_embedded",
    },
}
"""The sections of `shelfsight --help`; each command has its module and its name in that module."""

HELP = """Visual product search for the Postgres a shop already has.

\b
See it work:        shelfsight demo
Your own database:  export DATABASE_URL=postgresql://...
                    shelfsight init
                    shelfsight backfill --all
                    shelfsight scan photo.jpg

Every setting is an environment variable, a line of .env, or a flag.
"""


_PLACES = {name: place for commands in SECTIONS.values() for name, place in commands.items()}


class LazyGroup(click.Group):
    """A command group that imports a subcommand only when it is called or listed by `--help`."""

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
        width = formatter.width - 6 - max(map(len, _PLACES))
        for section, commands in SECTIONS.items():
            rows = [
                (name, command.get_short_help_str(width))
                for name in commands
                if (command := self.get_command(ctx, name)) is not None
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
