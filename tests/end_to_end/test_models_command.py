"""Switch from the models in use to those of another embedding server, by commands."""

from collections.abc import Iterator

import pytest
from aiohttp import web

from tests.end_to_end.command import PATIENCE, Command, failed_plainly
from tests.end_to_end.shop_tables import add_product, create_tables, run
from tests.end_to_end.test_interrupt import count, read_until
from tests.integration.remote.scripted_server import Server, refused, serving

PRODUCTS = 8
LITE = ("efficientnet-lite1-lite2-int8@0.1.0.r1", "wordllama-l2-supercat-256@0.4.0.post1")


pytestmark = pytest.mark.usefixtures("model_server")

IN_PROCESS = {"EMBEDDING_SERVER_URL": ""}


@pytest.fixture
def letters() -> Iterator[Server]:
    """Another embedding server, with other models."""
    server = Server()
    with serving(server.handle) as server.url:
        yield server


@pytest.fixture
def other(letters: Server) -> dict[str, str]:
    """The settings for embedding with the other server."""
    return {"EMBEDDING_SERVER_URL": letters.url, "BATCH_SIZE": "2"}


@pytest.fixture
def shop(url: str, shelfsight: Command) -> str:
    create_tables(url)
    for number in range(PRODUCTS):
        add_product(url, f"Mug {number}")
    assert shelfsight.result()["embedded"] == PRODUCTS
    return url


def made(generation: dict) -> dict[str, int]:
    return {one["model"]: one["count"] for one in generation["made"]}


def first_match(shelfsight: Command, **settings: str) -> str:
    (answer,) = shelfsight.json("scan", "--text", "Mug 3", "--limit", "1", **settings)
    return answer["matches"][0]["title"]


def test_other_models_are_staged_switched_to_and_back(
    shelfsight: Command, shop: str, other: dict[str, str]
) -> None:
    error = failed_plainly(shelfsight("backfill", **other), 1)
    assert "shelfsight backfill --staged --all, then shelfsight models --switch" in error

    with shelfsight.started("backfill", "--staged", "--all", "--json", **other) as process:
        read_until(process, lambda events: count(events, "stored") == 1)
        process.kill()
        process.wait(PATIENCE)

    (found,) = shelfsight.json("models", **other)
    assert made(found["in_use"]) == {LITE[1]: PRODUCTS}
    stored = made(found["staged"])["letters@2"]
    assert 1 <= stored < PRODUCTS
    assert found["staged"]["due"] == PRODUCTS - stored
    assert first_match(shelfsight) == "Mug 3"
    error = failed_plainly(shelfsight("models", "--switch", **other), 1)
    assert f"{PRODUCTS - stored} products are due in the staged set" in error
    add_product(shop, "Mug 8")
    assert shelfsight.result()["embedded"] == 1

    result = shelfsight.result("--staged", "--all", **other)
    assert (result["embedded"], result["exit_status"]) == (PRODUCTS + 1 - stored, 0)
    assert first_match(shelfsight) == "Mug 3"
    assert "The staged set is complete" in shelfsight("models").stdout

    done = shelfsight("models", "--switch")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].startswith("Switched.")
    (found,) = shelfsight.json("models", **other)
    assert made(found["in_use"]) == {"letters@2": PRODUCTS + 1}
    assert made(found["previous"]) == {LITE[1]: PRODUCTS + 1}
    assert (found["in_use"]["due"], found["staged"]) == (0, None)
    assert first_match(shelfsight, **other) == "Mug 3"
    assert "use those models" in failed_plainly(shelfsight("scan", "--text", "Mug"), 1)

    add_product(shop, "Mug 9")
    assert shelfsight.result(**other)["embedded"] == 1
    done = shelfsight("models", "--rollback")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1].startswith("1 products have changed since and are due")
    assert first_match(shelfsight) == "Mug 3"
    assert shelfsight("models", "--discard").stdout == "Dropped the staged vectors.\n"
    assert "no vectors are staged" in failed_plainly(shelfsight("models", "--discard"), 1)
    assert run(shop, "SELECT 1 FROM pg_namespace WHERE nspname LIKE 'shelfsight\\_%'") == []


@pytest.mark.usefixtures("shop")
def test_a_switch_reports_products_that_would_lose_their_vector(
    shelfsight: Command, letters: Server, other: dict[str, str]
) -> None:
    async def picky(_request: web.Request, body: dict) -> web.StreamResponse | None:
        odd = any("Mug 5" in text for text in body.get("texts", ()))
        return refused("too_odd", "not this one") if odd else None

    letters.before = picky
    assert shelfsight.result("--staged", "--all", **other)["failed"] == 1
    error = failed_plainly(shelfsight("models", "--switch"), 1)
    assert (
        "0 products are due in the staged set, and 1 failed there that have a vector in use"
        in error
    )
    assert shelfsight("models", "--switch", "--incomplete").returncode == 0


def test_a_dry_run_of_a_staged_set_counts_and_creates_nothing(
    shelfsight: Command, shop: str, other: dict[str, str]
) -> None:
    done = shelfsight("backfill", "--staged", "--all", "--dry-run", **other)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{PRODUCTS} products" in done.stdout
    assert run(shop, "SELECT 1 FROM pg_namespace WHERE nspname LIKE 'shelfsight\\_%'") == []


@pytest.mark.usefixtures("shop")
def test_it_shows_which_vectors_the_configured_models_would_replace(shelfsight: Command) -> None:
    assert "would replace" not in shelfsight("models", **IN_PROCESS).stdout
    shown = shelfsight("models", "--models", "siglip-qwen3", **IN_PROCESS).stdout
    assert f"would replace {PRODUCTS} text vectors: shelfsight backfill --staged --all" in shown


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("models", "--switch", "--rollback"), "at a time"),
        (("models", "--incomplete"), "goes with --switch"),
        (("models", "--switch", "--json"), "--json shows what there is"),
        (("backfill", "--staged", "--defer-index"), "leave --defer-index out"),
    ],
)
def test_contradictory_flags_are_refused(
    shelfsight: Command, words: tuple[str, ...], error: str
) -> None:
    done = shelfsight.here(*words)
    assert done.returncode == 2
    assert error in done.stderr
