"""A setting that makes no sense is refused with its name, its value and what is allowed."""

from pathlib import Path

import pytest

from shelfsight.errors import SettingsError
from shelfsight.models.table import PAIRS
from shelfsight.settings import Settings, load, without_password


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_defaults_are_those_of_the_readme() -> None:
    settings = load()
    assert (settings.batch_size, settings.max_batches, settings.skip_existing) == (150, 3, True)
    assert (settings.embedding_server_url, settings.database_url) == (None, None)
    assert settings.models == "siglip-qwen3"
    assert (settings.image_weight, settings.text_weight) == (0.7, 0.3)
    assert settings.images_per_product == 1


def test_a_flag_beats_the_environment_which_beats_the_file(
    monkeypatch: pytest.MonkeyPatch, clean: Path
) -> None:
    (clean / ".env").write_text("BATCH_SIZE=10\nMAX_BATCHES=20\nTEXT_WEIGHT=1\nSOMETHING_ELSE=x\n")
    monkeypatch.setenv("BATCH_SIZE", "11")
    monkeypatch.setenv("MAX_BATCHES", "21")
    settings = load({"batch_size": "12"})
    assert (settings.batch_size, settings.max_batches, settings.text_weight) == (12, 21, 1)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("BATCH_SIZE", "0", "greater than or equal to 1"),
        ("BATCH_SIZE", "many", "a whole number"),
        ("BATCH_SIZE", "1.5", "a whole number"),
        ("MEMORY", "lots", "a size, as 3GB or 1500MB"),
        ("MEMORY", "3 elephants", "a size, as 3GB or 1500MB"),
        ("MEMORY", "0", "greater than 0"),
        ("MAX_BATCHES", "-1", "greater than or equal to 0"),
        ("SKIP_EXISTING", "maybe", "true or false"),
        ("IMAGE_WEIGHT", "-0.1", "greater than or equal to 0"),
        ("IMAGE_WEIGHT", "inf", "a number that is 0 or greater"),
        ("TEXT_WEIGHT", "nan", "greater than or equal to 0"),
        ("EMBEDDING_SERVER_URL", "localhost:8000", "http://"),
        ("EMBEDDING_SERVER_URL", "ftp://host", "http://"),
        ("EMBEDDING_SERVER_URL", "http:///path", "http://"),
        ("EMBEDDING_SERVER_URL", "http://host:port", "http://"),
        ("DATABASE_URL", "mysql://host/db", "postgresql://"),
        ("MODELS", "clip", f"{', '.join(map(repr, PAIRS))}, or image:NAME,text:NAME"),
        ("MODELS", "image:lite,text:wordllama-l2-supercat-256", "an image model of siglip-base"),
        ("MODELS", f"image:{PAIRS['lite'].image.name},text:lite", "a text model of qwen3"),
        ("IMAGES_PER_PRODUCT", "0", "greater than or equal to 1"),
        ("IMAGE_BASE_URL", "cdn.test/media", "http://"),
        ("IMAGE_BASE_URL", "https://cdn.test/?path=", "without login, ? and #"),
        ("IGNORED_URL_PARAMETERS", "v,a*b", "names of query parameters"),
        ("PRODUCT_TEXT", "title,colour", "one or more of title, description, category"),
        ("PRODUCT_TEXT", ",", "one or more of title"),
        ("TEXT_LANGUAGE", "e", "a language such as en or pt-BR"),
        ("SHOP_TIME_ZONE", "Berlin", "a time zone such as UTC or Europe/Berlin"),
    ],
)
def test_nonsense_is_refused_by_name_value_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, allowed: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refusal:
        load()
    message = str(refusal.value)
    assert name in message
    assert value in message
    assert allowed in message


def test_all_that_is_wrong_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCH_SIZE", "0")
    monkeypatch.setenv("SKIP_EXISTING", "maybe")
    with pytest.raises(SettingsError) as refusal:
        load()
    assert len(str(refusal.value).splitlines()) == 2


def test_both_weights_zero_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGE_WEIGHT", "0")
    monkeypatch.setenv("TEXT_WEIGHT", "0")
    with pytest.raises(SettingsError, match="both 0"):
        load()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://user:hunter2@host/db"),
        ("DATABASE_URL", "user:hunter2@host/db"),
        ("DATABASE_URL", "postgresql://user:hun%zzter2hunter2@host/db"),
        ("DATABASE_URL", "postgresql://user:hunter2/hunter2@host/db"),
        ("DATABASE_URL", "postgresql://user:hunter2@host:port/db"),
        ("DATABASE_URL", "postgresql://user:pass@hunter2@host/db"),
        ("EMBEDDING_SERVER_URL", "ftp://user:hunter2@host"),
    ],
)
def test_a_password_is_never_shown(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refusal:
        load()
    assert "hunter2" not in str(refusal.value)
    assert "host" in str(refusal.value)


@pytest.mark.parametrize(
    "password", ["hunter2", "hun#ter2", "hun?ter2", "hun/ter2", "hun@ter2", ""]
)
def test_an_address_without_its_password_still_says_where(password: str) -> None:
    url = f"postgresql://shop:{password}@db.example.com:6432/shop?password=hunter2"
    assert without_password(url) == "postgresql://shop@db.example.com:6432/shop"


def test_an_at_sign_in_a_password_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://shop:p@ss@db.example.com/shop")
    with pytest.raises(SettingsError, match="write @ in a password as %40"):
        load()


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setenv("BATCH_SIZE", "")
    assert load().database_url is None


@pytest.mark.parametrize("url", ["https://shop.test/p/1", "https://shop.test/{name}", "p/{sku}"])
def test_the_address_of_products_names_what_there_is(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("PRODUCT_URL", url)
    with pytest.raises(SettingsError, match=r"PRODUCT_URL.*an address"):
        load()
