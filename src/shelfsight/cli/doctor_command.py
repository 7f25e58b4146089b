"""The command `shelfsight doctor`, which checks everything that a run needs."""

import json
from dataclasses import asdict

import click

from shelfsight.cli.options import DATABASE, MODELS, Command
from shelfsight.doctor import Finding, examine
from shelfsight.settings import Settings

_MARKS = {"ok": "ok   ", "warning": "WARN ", "wrong": "WRONG"}


@click.command(cls=Command, settings=(*MODELS, *DATABASE))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a finding.")
def doctor(settings: Settings, as_json: bool) -> int:
    """Check database, pgvector, models, server and disk.

    Each line says what was found. A line that begins with -> says what to do.

    Exit status: 0 everything is well, or there are only warnings; 1 something is wrong.
    """
    wrong = False
    for finding in examine(settings):
        wrong = wrong or finding.verdict == "wrong"
        click.echo(json.dumps(asdict(finding)) if as_json else _line(finding))
    return 1 if wrong else 0


def _line(finding: Finding) -> str:
    advice = f"\n      -> {finding.advice}" if finding.advice else ""
    return f"{_MARKS[finding.verdict]} {finding.subject}: {finding.what}{advice}"
