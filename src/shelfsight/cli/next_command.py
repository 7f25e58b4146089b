"""The commands that continue a run: they can be pasted, and repeat the settings of this command."""

import shlex
import sys
from collections.abc import Iterator, Sequence

from shelfsight.cli.options import DATABASE, MODELS, WEIGHTS
from shelfsight.settings import SECRET, Settings, given_by_environment

_ELSEWHERE = {"max_batches"}
"""Settings that are not repeated, because `--all` replaces them."""

_NOT_FOR_RETRY = {"skip_existing"}


def command_for_all() -> str:
    """Return the command that was called, with `--all` and without its secrets."""
    words = [word for option in _options(sys.argv[2:]) for word in option]
    return _pasteable([*sys.argv[1:2], *words], without=_ELSEWHERE)


def command_for_failed() -> str:
    """Return the command that tries at once what failed, with the same settings.

    Staged vectors have failures of their own, which only `backfill --staged` reaches.
    """
    called = sys.argv[1:2]
    options = list(_options(sys.argv[2:]))
    is_staged = any(option[0] in {"--staged", "--beside"} for option in options)
    if called == ["retry"]:
        return command_for_all()
    if is_staged:
        words = [word for option in options for word in option if word != "--retry-failed"]
        return _pasteable([*called, *words, "--retry-failed"], without=_ELSEWHERE)
    kept = [option for option in options if _setting(option[0]) not in {None, *_NOT_FOR_RETRY}]
    words = [word for option in kept for word in option]
    return _pasteable(["retry", *words], without=_ELSEWHERE | _NOT_FOR_RETRY)


def command_for_scan(*words: str) -> str:
    """Return a scan command with the same database and models; `words` say what is searched for."""
    shared = {*DATABASE, *MODELS, *WEIGHTS}
    kept = [option for option in _options(sys.argv[2:]) if _setting(option[0]) in shared]
    options = [word for option in kept for word in option]
    given = given_by_environment(shared - _flags(options))
    variables = [f"{name}={shlex.quote(value)}" for name, value in sorted(given.items())]
    return " ".join([*variables, shlex.join(["shelfsight", "scan", *words, *options])])


def _pasteable(words: Sequence[str], *, without: set[str]) -> str:
    """Return a command line: the settings from the environment, then the words and `--all`."""
    given = given_by_environment(Settings.model_fields.keys() - without - _flags(words))
    variables = [f"{name}={shlex.quote(value)}" for name, value in sorted(given.items())]
    every = [] if "--all" in words else ["--all"]
    return " ".join([*variables, shlex.join(["shelfsight", *words, *every])])


def _options(words: Sequence[str]) -> Iterator[list[str]]:
    """Yield each option with its value, if it has one; secrets are replaced by `...`."""
    rest = list(words)
    while rest:
        flag, joined, _ = rest[0].partition("=")
        name = _setting(flag)
        has_value = name is not None and Settings.model_fields[name].annotation is not bool
        option, rest = (rest[:2], rest[2:]) if has_value and not joined else (rest[:1], rest[1:])
        if name in SECRET:
            option = [f"{flag}=..."] if joined else [flag, "..."]
        yield option


def _flags(words: Sequence[str]) -> set[str]:
    """Return the names of the settings that these words give."""
    names = (_setting(word.partition("=")[0]) for word in words)
    return {name for name in names if name is not None}


def _setting(flag: str) -> str | None:
    """Return the name of the setting that a flag gives; None if it gives none."""
    name = flag.partition("=")[0].removeprefix("--").removeprefix("no-").replace("-", "_")
    return name if flag.startswith("--") and name in Settings.model_fields else None
