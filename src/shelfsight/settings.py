"""All settings. Only this module reads environment variables and `.env`.

Each field is an environment variable (its name in capitals), a line in `.env` and a flag of the
command line. The flags and the settings page of the docs are generated from these fields.
"""

import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from platformdirs import user_data_path
from pydantic import AfterValidator, ByteSize, Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from shelfsight.errors import SettingsError
from shelfsight.models.choice import pair_of, with_precision
from shelfsight.models.specs import Precision
from shelfsight.records import TEXT_FIELDS, Weights
from shelfsight.telemetry.logs import LogFormat

EMBEDDED_SYSTEM_HOME = Path("/var/lib/shelfsight")
"""Folder of the embedded database if root starts it; the server then runs as another user."""


PRODUCT_URL_NAMES = frozenset({"sku", "handle", "id", "productId"})
"""The placeholders of `PRODUCT_URL`."""

SECRET = frozenset({"database_url", "embedding_server_api_key"})
"""Settings that may hold a password or a key, so their values are never shown."""


_POSTGRES = re.compile(r"(postgres|postgresql)(?:\+[a-z0-9_]+)?://")
"""How a database URL starts; SQLAlchemy names the driver in it, as in `postgresql+asyncpg`."""


def _for_http(url: str | None) -> str | None:
    try:
        parts = urlsplit(url or "http://none")
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ValueError("an address that starts with http://... or https://...")
    return url


def _for_libpq(url: str | None) -> str | None:
    """Refuse an address that libpq would refuse; its message could show a part of the password.

    The parameters are checked when the database is opened; see `postgres/database_url.py`.
    """
    if url is None:
        return None
    if not _POSTGRES.match(url):
        raise ValueError("an address that starts with postgresql://... or postgres://...")
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        parts = conninfo_to_dict(split_database_url(url)[0])
    except ProgrammingError:
        parts = {"port": "unreadable"}
    if "@" in str(parts.get("host", "")):
        raise ValueError("postgresql://user:password@host/database; write @ in a password as %40")
    if not re.fullmatch("[0-9,]*", str(parts.get("port", ""))):
        raise ValueError("postgresql://user:password@host:port/database, odd characters as %40")
    return url


def split_database_url(url: str) -> tuple[str, str]:
    """Return a database URL without its parameters and driver, and the parameters (after `?`).

    As in libpq, a `?` before the first @ belongs to the password, unless a / comes earlier.
    """
    place = _POSTGRES.sub(r"\1://", url, count=1)
    login = re.match("[a-z]+://[^@/]*@", place)
    start = place.find("?", login.end() if login else 0)
    return (place, "") if start < 0 else (place[:start], place[start + 1 :])


def _listed(text: str) -> tuple[str, ...]:
    names = (name.strip().lower() for name in text.split(","))
    return tuple(dict.fromkeys(name for name in names if name))


def _for_cors(sites: str) -> str:
    for site in _listed(sites):
        if not re.fullmatch(r"https?://[^/?#@\s*]+", site):
            raise ValueError("sites such as https://shop.example, divided by commas")
    return sites


def _for_proxies(networks: str) -> str:
    try:
        for network in _listed(networks):
            ip_network(network, strict=False)
    except ValueError:
        raise ValueError("addresses or networks, as 10.0.0.0/8, divided by commas") from None
    return networks


def _for_pictures(base: str | None) -> str | None:
    parts = urlsplit(_for_http(base) or "http://none")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("an address without login, ? and #, as https://cdn.shop.example/media")
    return base


def _for_products(template: str | None) -> str | None:
    names = re.findall(r"\{([^{}]*)\}", _for_http(template) or "{sku}")
    if not names or not set(names) <= PRODUCT_URL_NAMES:
        raise ValueError("an address with {sku}, {handle}, {id} or {productId}")
    return template


def _for_parameters(names: str) -> str:
    for name in _listed(names):
        if not re.fullmatch(r"[a-z0-9_.-]+\*?", name):
            raise ValueError("names of query parameters, divided by commas; a * may end one")
    return names


def _for_text(fields: str | None) -> str | None:
    names = _listed(fields or "title")
    if not names or not set(names) <= set(TEXT_FIELDS):
        raise ValueError(f"one or more of {', '.join(TEXT_FIELDS)}, divided by commas")
    return fields


def _for_models(chosen: str) -> str:
    pair_of(chosen)
    return chosen


def _for_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise ValueError("a time zone such as UTC or Europe/Berlin") from None
    return name


def _finite(weight: float) -> float:
    if not math.isfinite(weight):
        raise ValueError("a number that is 0 or greater")
    return weight


Weight = Annotated[float, Field(ge=0), AfterValidator(_finite)]


SIGNATURE_PARAMETERS = ",".join(
    (
        "x-amz-*,awsaccesskeyid,signature,expires",  # Amazon S3, and the like of it
        "policy,key-pair-id",  # CloudFront
        "x-goog-*,googleaccessid",  # Google Cloud Storage
        "sig,se,sp,sr,st,sv,spr,ske,skoid,sks,skt,sktid,skv",  # Azure
        "x-oss-signature*,x-oss-expires,x-oss-date,x-oss-credential,x-oss-security-token",
        "ossaccesskeyid,security-token",  # Alibaba Cloud
        "token,hdnts,hdnea",  # Bunny, Akamai and others
        "v",  # the version that many shops add, so that browsers ask again
    )
)
"""Query parameters that sign an address, or have a cache ask again."""


class Settings(BaseSettings):
    """All settings with their defaults. `load` reads them, and reports errors in plain language."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
    )

    batch_size: int = Field(
        150, ge=1, le=10_000, description="products a batch: what a killed worker may embed again"
    )
    max_batches: int = Field(3, ge=0, description="batches a run at the most; 0 means no limit")
    skip_existing: bool = Field(
        True, description="skip products that have embeddings; false embeds all again"
    )
    calibrate: bool = Field(
        True,
        description="whether the first backfill fits how probable a match is, on your pictures",
    )
    embedding_server_url: Annotated[str | None, AfterValidator(_for_http)] = Field(
        None, description="an embedding server; without one the models run in this process"
    )
    embedding_server_api_key: SecretStr | None = Field(
        None, description="the key of the embedding server or service, sent in a header"
    )
    embedding_server_text_model: str | None = Field(
        None, description="the model for texts, where an embedding server lists several"
    )
    embedding_server_image_model: str | None = Field(
        None, description="the model for pictures, of an embedding service that has several"
    )
    embedding_server_api: Literal["auto", "openai", "jina", "cohere", "voyage", "gemini"] = Field(
        "auto", description="the API of an embedding service; auto tells it by the address"
    )
    embedding_server_pictures: Literal["auto", "original", "model"] = Field(
        "auto",
        description="send original pictures, or resized ones; auto: as the server wants",
    )
    cold_start_timeout: float = Field(
        300, gt=0, description="seconds to wait for an embedding server that wakes up"
    )
    server_down_timeout: float = Field(
        600, gt=0, description="seconds to wait for an embedding server that answers no more"
    )
    server_concurrency: int = Field(
        4, ge=1, le=16, description="requests at once to the embedding server, of each kind"
    )
    database_url: Annotated[str | None, AfterValidator(_for_libpq)] = Field(
        None, description="your Postgres; without one an embedded Postgres is used"
    )
    models: Annotated[str, AfterValidator(_for_models)] = Field(
        "siglip-qwen3",
        description="the pair of models that runs in this process, or image:NAME,text:NAME; see"
        " shelfsight models --list",
    )
    precision: Precision = Field(
        "fp32",
        description="the number format of SigLIP and Qwen3; fp16 and int8 take less memory, and"
        " int8 less time on a CPU",
    )
    model_dir: Path | None = Field(
        None, description="a folder that holds the models' files; without one they are downloaded"
    )
    backend: Literal["onnx", "torch"] = Field(
        "onnx", description="what runs the models in this process"
    )
    device: Literal["cpu", "cuda"] = Field(
        "cpu", description="where it runs them; cuda is never left for the CPU by itself"
    )
    model_threads: int = Field(
        0,
        ge=0,
        description="threads of a model on the CPU; 0: one a core, half as many in a backfill",
    )
    product_text: Annotated[str | None, AfterValidator(_for_text)] = Field(
        None,
        description="what a product's text is made of, of title, description, category, options,"
        " brand; as the stored texts, or else of all",
    )
    text_language: str = Field(
        "en",
        pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$",
        description="the language to take of texts that are stored in several, as de or pt-BR",
    )
    shop_time_zone: Annotated[str, AfterValidator(_for_zone)] = Field(
        "UTC", description="the zone of your times that are stored without one, as Europe/Berlin"
    )
    image_weight: Weight = Field(0.7, description="weight of the image in the combined vector")
    text_weight: Weight = Field(0.3, description="weight of the text in the combined vector")
    scan_views: int = Field(
        2, ge=1, le=9, description="looks at a photo, the whole and ever closer to its centre"
    )
    scan_codes: bool = Field(
        True, description="whether barcodes and QR codes in photos find their products"
    )
    scan_color: bool = Field(
        True, description="whether the colours of photos count, beside the vectors of the model"
    )
    scan_confirmed: bool = Field(
        True, description="whether photos that people have confirmed count, and are kept as vectors"
    )
    scan_timeout: float = Field(
        30, gt=0, description="seconds after which a scan over HTTP is given up"
    )
    stop_timeout: float = Field(
        30, gt=0, description="seconds that a server has to stop; then it cuts what still works"
    )
    memory: ByteSize | None = Field(
        None,
        gt=0,
        description="what serve and its decoders may take, as 3GB; without it, the usual limits",
    )
    follow_models: bool = Field(
        False,
        description="serve loads the models of staged vectors too, and changes to them at the"
        " switch",
    )
    rate_limit: int = Field(
        600, ge=0, description="requests a minute of each API key; 0 means no limit"
    )
    byte_limit: int = Field(
        500_000_000, ge=0, description="bytes a minute of each API key; 0 means no limit"
    )
    cors_origins: Annotated[str, AfterValidator(_for_cors)] = Field(
        "", description="sites (comma-separated, https://...) whose pages may ask the server"
    )
    api_prefix: str = Field(
        "/api",
        pattern=r"^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$",
        description="serve answers below this path too, as /api/products/...; empty for none",
    )
    product_url: Annotated[str | None, AfterValidator(_for_products)] = Field(
        None,
        description="a product's page, as https://shop.example/p/{sku};"
        " or {handle}, {id}, {productId}",
    )
    add_product_url: Annotated[str | None, AfterValidator(_for_http)] = Field(
        None, description="the page of the shop where a product is added"
    )
    currency: str | None = Field(
        None, pattern=r"^[A-Z]{3}$", description="the currency of all prices, as EUR"
    )
    trusted_proxies: Annotated[str, AfterValidator(_for_proxies)] = Field(
        "",
        description="proxies (comma-separated addresses or networks) whose X-Forwarded-For counts",
    )
    images_per_product: int = Field(
        1, ge=1, le=50, description="pictures a product, first ones by position; their mean is used"
    )
    host_concurrency: int = Field(
        8, ge=1, le=64, description="requests at once to one host of pictures, at the most"
    )
    image_root: Path | None = Field(
        None, description="a folder; pictures given as paths are read below it"
    )
    image_base_url: Annotated[str | None, AfterValidator(_for_pictures)] = Field(
        None,
        description="put in front of relative picture addresses, as https://cdn.shop.example",
    )
    ignored_url_parameters: Annotated[str, AfterValidator(_for_parameters)] = Field(
        SIGNATURE_PARAMETERS,
        description="query parameters (comma-separated, * ends a name) that may change in a"
        " picture's address, as a signature does, without making the picture another",
    )
    allow_private_images: str = Field(
        "", description="hosts (comma-separated) that may be fetched from though they are private"
    )
    log_format: LogFormat = Field(
        "text", description="the log on stderr, as text or as one JSON object a line"
    )
    shelfsight_home: Path | None = Field(None, description="where the embedded database is kept")

    @model_validator(mode="after")
    def _some_weight(self) -> "Settings":
        if self.image_weight == 0 and self.text_weight == 0:
            raise ValueError(
                "IMAGE_WEIGHT and TEXT_WEIGHT are both 0: at least one must be greater"
            )
        return self

    @model_validator(mode="after")
    def _in_precision(self) -> "Settings":
        with_precision(self.models, self.precision)
        return self

    @property
    def chosen_models(self) -> str:
        """What `MODELS` calls the models with their number format, as `siglip-qwen3-int8`."""
        return with_precision(self.models, self.precision)

    @property
    def weights(self) -> Weights:
        """The weights of image and text, as one object."""
        return Weights(image=self.image_weight, text=self.text_weight)

    @property
    def private_hosts(self) -> frozenset[str]:
        """The hosts listed in `ALLOW_PRIVATE_IMAGES`, in lower case."""
        return frozenset(_listed(self.allow_private_images))

    @property
    def fingerprints(self) -> dict[str, str]:
        """The settings that can make pictures fail, each as `name=hash` of its value.

        A failure is stored with the fingerprints of the settings that caused it. The hash is 12
        hexadecimal digits of a SHA-256. A plain hash is enough: it only has to show that a setting
        has changed, and none of these settings is a secret.
        """
        values = {
            "image_root": str(self.image_root or ""),
            "image_base_url": self.image_base_url or "",
            "allow_private_images": ",".join(sorted(self.private_hosts)),
        }
        return {
            name: f"{name}={sha256(value.encode()).hexdigest()[:12]}"
            for name, value in values.items()
        }

    @property
    def url_parameters(self) -> tuple[str, ...]:
        """The names listed in `IGNORED_URL_PARAMETERS`, in lower case."""
        return _listed(self.ignored_url_parameters)

    @property
    def origins(self) -> tuple[str, ...]:
        """The sites listed in `CORS_ORIGINS`, in lower case."""
        return _listed(self.cors_origins)

    @property
    def proxies(self) -> tuple[str, ...]:
        """The addresses and networks listed in `TRUSTED_PROXIES`."""
        return _listed(self.trusted_proxies)

    def home(self, *, root: bool) -> Path:
        """Return the folder of the embedded database: `SHELFSIGHT_HOME`, or the default folder."""
        if self.shelfsight_home is not None:
            return self.shelfsight_home.expanduser().absolute()
        return EMBEDDED_SYSTEM_HOME if root else user_data_path("shelfsight")


def load(flags: dict[str, object] | None = None) -> Settings:
    """Read the settings: a flag overrides an environment variable, which overrides `.env`.

    Raises:
        SettingsError: settings are invalid; the message names each one, its value and what is
            allowed.
    """
    try:
        return Settings(**(flags or {}))  # type: ignore[arg-type]
    except ValidationError as error:
        lines = [_explain(detail) for detail in error.errors()]
        raise SettingsError("\n".join(lines)) from None
    except (UnicodeDecodeError, OSError) as error:
        raise SettingsError(f".env cannot be read: {error}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSettings:
    """What OpenTelemetry's standard variables ask for; its packages read the others themselves."""

    are_on: bool
    protocol: str


def trace_settings() -> TraceSettings:
    """Read the variables that switch traces on: an address of a collector, or an exporter."""
    read = {name: os.environ.get(f"OTEL_{name}", "").strip() for name in _TRACE_VARIABLES}
    exporter = read["TRACES_EXPORTER"].lower()
    is_off = read["SDK_DISABLED"].lower() == "true" or exporter == "none"
    address = read["EXPORTER_OTLP_ENDPOINT"] or read["EXPORTER_OTLP_TRACES_ENDPOINT"]
    protocol = read["EXPORTER_OTLP_TRACES_PROTOCOL"] or read["EXPORTER_OTLP_PROTOCOL"]
    return TraceSettings(
        are_on=not is_off and bool(address or exporter == "otlp"),
        protocol=protocol or "http/protobuf",
    )


_TRACE_VARIABLES = (
    *("SDK_DISABLED", "TRACES_EXPORTER", "EXPORTER_OTLP_PROTOCOL"),
    *("EXPORTER_OTLP_ENDPOINT", "EXPORTER_OTLP_TRACES_ENDPOINT", "EXPORTER_OTLP_TRACES_PROTOCOL"),
)


def given_by_environment(names: Iterable[str]) -> dict[str, str]:
    """Return the environment variables that give these settings, except those that hold secrets."""
    given = {name.upper(): os.environ.get(name.upper(), "") for name in names}
    return {
        name: value
        for name, value in given.items()
        if value and name.lower() not in SECRET and "@" not in value
    }


def without_password(url: str) -> str:
    """Return an address of a database without its password, and without everything after `?`.

    A password may contain any character, so it is taken to end at the last @.
    """
    scheme, _, rest = url.partition("://")
    login, at, place = rest.rpartition("@")
    user = re.split("[:/?#]", login)[0]
    return f"{scheme}://{user}{at if user else ''}{re.split('[?#]', place)[0]}"


def _explain(detail: ErrorDetails) -> str:
    if not detail["loc"]:
        return str(detail["msg"]).removeprefix("Value error, ")
    name = str(detail["loc"][0])
    shown = "(not shown)" if name.endswith("_key") else repr(_without_login(str(detail["input"])))
    message = str(detail["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
    allowed = _ALLOWED.get(detail["type"], message)
    return f"{name.upper()}={shown} makes no sense; allowed is {allowed}"


def _without_login(value: str) -> str:
    """Remove everything before an @, because it may contain a password."""
    return f"...@{value.rpartition('@')[2]}" if "@" in value else value


_ALLOWED = {
    "string_pattern_mismatch": "a language such as en or pt-BR",
    **dict.fromkeys(("byte_size", "byte_size_unit"), "a size, as 3GB or 1500MB"),
    "bool_parsing": "true or false",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
}
