"""Command-line flags: one flag for each setting, and the flags that select products.

`--help` lists the flags in groups; the first group has those that most people need.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, get_args

import click

from shelfsight.records import Selection
from shelfsight.settings import Settings, load
from shelfsight.wiring.telemetry import start_telemetry

DATABASE = ("database_url", "shelfsight_home")
IN_PROCESS = ("models", "precision", "model_dir", "backend", "device", "model_threads")
MODELS = (
    *IN_PROCESS,
    *("embedding_server_url", "embedding_server_api_key", "embedding_server_text_model"),
    *("embedding_server_image_model", "embedding_server_api", "embedding_server_pictures"),
    *("cold_start_timeout", "server_down_timeout", "server_concurrency"),
)
WEIGHTS = ("image_weight", "text_weight")
PICTURES = (
    *("images_per_product", "image_root", "image_base_url", "ignored_url_parameters"),
    "allow_private_images",
)
TEXTS = ("product_text", "text_language", "shop_time_zone")
CATALOGUE = (*PICTURES, *TEXTS)
FETCHING = (*CATALOGUE, "host_concurrency")
PHOTO = ("scan_views", "scan_codes", "scan_color", "scan_confirmed")
SERVING = (
    *PHOTO,
    *("scan_timeout", "stop_timeout", "memory", "follow_models"),
    *CATALOGUE,
    *("rate_limit", "byte_limit", "cors_origins", "api_prefix", "trusted_proxies"),
    *("product_url", "add_product_url", "currency"),
)
LOGS = ("log_format",)
BATCHES = ("batch_size", "max_batches", "skip_existing")
CALIBRATING = ("calibrate", "scan_views")

MOST_USED = "Options that most people need"
OTHER = "Options"
_GROUPS = {
    MOST_USED: ("database_url", "models", "embedding_server_url", "everything", "dry_run"),
    OTHER: (),
    "What to embed": (
        *("since", "until", "updated_since", "owner", "products", "skus", "missing", "where"),
        *("retry_failed", "refetch", "kinds", "hosts", *BATCHES),
    ),
    "How the run goes": ("yes", "defer_index", "staged", "join", "new", "calibrate"),
    "Models and embedding server": (*MODELS, *WEIGHTS, *PHOTO),
    "Pictures": (*PICTURES, "host_concurrency"),
    "Texts and times": TEXTS,
    "Database": DATABASE,
    "Server": (
        *("host", "port", "insecure", "scan_timeout", "stop_timeout", "memory"),
        *("follow_models", "rate_limit", "byte_limit", "cors_origins", "api_prefix"),
        *("trusted_proxies", "product_url", "add_product_url", "currency"),
    ),
    "Workers": ("engine", "address", "workers", "gpus_per_worker"),
    "Output": ("verbose", "as_json", *LOGS, "help"),
}
"""The headings of `--help` and their options; `OTHER` has the options that are in no group."""

FEW_OPTIONS = 10
"""The largest number of options that are listed without groups."""

serving_processes = click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Processes that serve; each loads the models.",
)
"""The decorator of commands that serve with several processes."""


class Command(click.Command):
    """A command with a flag for each of the given settings; it receives them as `settings`.

    `settings.load` reads the values, so a flag and its environment variable are checked alike.
    """

    def __init__(self, *args: Any, settings: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._settings = settings
        self.params += [_flag(name) for name in settings]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the options in groups; a short list is not divided."""
        shown = {
            param.name or "": record
            for param in self.get_params(ctx)
            if isinstance(param, click.Option) and (record := param.get_help_record(ctx))
        }
        if len(shown) <= FEW_OPTIONS:
            super().format_options(ctx, formatter)
            return
        headings = {name: heading for heading in reversed(_GROUPS) for name in _GROUPS[heading]}
        if "everything" not in shown:  # the command starts no run, so these flags are its own
            headings |= dict.fromkeys(_GROUPS["What to embed"], OTHER)
        for heading, names in _GROUPS.items():
            here = [name for name in shown if headings.get(name, OTHER) == heading]
            if here:
                with formatter.section(heading):
                    formatter.write_dl([shown[name] for name in sorted(here, key=_place(names))])

    def invoke(self, ctx: click.Context) -> object:
        """Load `settings` from the flags, then call the command."""
        flags = {name: ctx.params.pop(name) for name in self._settings}
        if self._settings:
            given = {name: value for name, value in flags.items() if value is not None}
            settings = ctx.params["settings"] = load(given)
            if "log_format" in self._settings:
                start_telemetry(settings, self.name or "")
        return super().invoke(ctx)


def _place(names: Sequence[str]) -> Callable[[str], int]:
    """Return a sort key: the position of a name in `names`; other names come last."""
    return lambda name: names.index(name) if name in names else len(names)


def _flag(name: str) -> click.Option:
    field = Settings.model_fields[name]
    flag = f"--{name.replace('_', '-')}"
    default = "" if field.default in (None, "") else f", default {str(field.default).lower()}"
    description = field.description or ""
    text = f"{description[:1].upper()}{description[1:]}  [{name.upper()}{default}]"
    if field.annotation is bool:
        return click.Option([f"{flag}/--no-{flag[2:]}"], default=None, help=text)
    return click.Option([flag], default=None, help=text, metavar=_METAVARS.get(name, "N"))


_METAVARS = {
    "allow_private_images": "HOSTS",
    "api_prefix": "PATH",
    "cors_origins": "SITES",
    "product_text": "FIELDS",
    "product_url": "URL",
    "add_product_url": "URL",
    "currency": "CODE",
    "shop_time_zone": "ZONE",
    "text_language": "LANGUAGE",
    "trusted_proxies": "ADDRESSES",
    "database_url": "URL",
    "embedding_server_api_key": "KEY",
    "embedding_server_image_model": "NAME",
    "embedding_server_text_model": "NAME",
    "embedding_server_url": "URL",
    "image_base_url": "URL",
    "image_root": "FOLDER",
    "ignored_url_parameters": "NAMES",
    "memory": "SIZE",
    "model_dir": "FOLDER",
    "models": "NAME",
    "shelfsight_home": "FOLDER",
    **{
        name: "|".join(get_args(Settings.model_fields[name].annotation))
        for name in (
            "backend",
            "device",
            "embedding_server_api",
            "embedding_server_pictures",
            "log_format",
            "precision",
        )
    },
}


class Moment(click.ParamType[datetime]):
    """A date, or a date and time. It is in local time unless it has a UTC offset."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Parse a time in ISO 8601, or as Postgres writes it."""
        if isinstance(value, datetime):
            return value
        try:
            return datetime.fromisoformat(str(value)).astimezone()
        except ValueError:
            example = "2026-01-31 or 2026-01-31T08:00+01:00"
            self.fail(f"{value!r} is not a time such as {example}", param, ctx)


RUNNING = (
    click.Option(
        ["--all", "everything"], is_flag=True, help="No limit of batches (MAX_BATCHES=0)."
    ),
    click.Option(["--dry-run"], is_flag=True, help="Say what would be done; no model is loaded."),
    click.Option(
        ["--yes"],
        is_flag=True,
        help="Accept that many stored vectors are taken away, and that columns are gone that were"
        " read before.",
    ),
    click.Option(["-v", "--verbose"], is_flag=True, help="Tell each product's steps."),
    click.Option(["--json", "as_json"], is_flag=True, help="One JSON object a line."),
)

SELECTION = (
    click.Option(["--since"], type=Moment(), help="Products created at or after this time."),
    click.Option(["--until"], type=Moment(), help="Products created before this time."),
    click.Option(
        ["--updated-since"], type=Moment(), help="Products updated at or after this time."
    ),
    click.Option(["--owner"], metavar="ID", help="Products of this owner (UserId)."),
    click.Option(
        ["--product", "products"],
        multiple=True,
        metavar="ID",
        help="This product or variant; repeatable.",
    ),
    click.Option(["--sku", "skus"], multiple=True, help="The variant with this SKU; repeatable."),
    click.Option(
        ["--missing"],
        type=click.Choice(["image", "text", "combined"]),
        help="Products that could have this vector and do not, failed ones included.",
    ),
    click.Option(
        ["--where"], metavar="SQL", help='A condition over "ProductVariants", run read-only.'
    ),
    click.Option(["--retry-failed"], is_flag=True, help="Do not wait: try again what failed."),
    click.Option(
        ["--refetch"],
        is_flag=True,
        help="See whether the pictures of stored images have changed behind their addresses.",
    ),
)


def selection(settings: Settings, arguments: dict[str, Any]) -> Selection:
    """Remove the flags that select products from the arguments, and return the selection.

    Raises:
        click.UsageError: two of the flags contradict each other.
    """
    names = [option.name for option in SELECTION if option.name is not None]
    chosen = Selection(
        skip_existing=settings.skip_existing, **{name: arguments.pop(name) for name in names}
    )
    if chosen.refetch and (reason := _against_refetch(chosen)):
        raise click.UsageError(f"--refetch {reason}")
    return chosen


def _against_refetch(chosen: Selection) -> str | None:
    if not chosen.skip_existing:
        return "embeds what has changed: leave --no-skip-existing (SKIP_EXISTING=false) out"
    if chosen.missing is not None:
        return "is about images that are stored: leave --missing out"
    if chosen.retry_failed:
        return "asks for stored images, failed or not: leave --retry-failed out"
    return None
