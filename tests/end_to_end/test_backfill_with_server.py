"""Backfill with an embedding server that has other models, dies, recovers, or embeds only texts."""

import asyncio
import json
from collections.abc import Iterator

import pytest
from aiohttp import web

from tests.end_to_end.command import Command, failed_plainly
from tests.end_to_end.picture_host import PictureHost
from tests.end_to_end.shop_tables import add_product, create_tables, failures, run, stored
from tests.integration.remote.scripted_server import HEALTH, Server, reset, serving
from tests.integration.remote.test_openai_servers import NAME, VLLM

PRODUCTS = 8


@pytest.fixture
def models() -> Iterator[Server]:
    server = Server()
    with serving(server.handle) as server.url:
        yield server


@pytest.fixture
def shop(url: str) -> str:
    create_tables(url)
    for number in range(PRODUCTS):
        add_product(url, f"Mug {number}")
    return url


def server_settings(models: Server, **settings: str) -> dict[str, str]:
    """Return settings for a run in two batches with this server."""
    return {"EMBEDDING_SERVER_URL": models.url, "BATCH_SIZE": str(PRODUCTS // 2), **settings}


def dies_at_last(models: Server, url: str) -> None:
    """Let the server die at the last product, once the batch before it is stored."""
    text = last_product(url)

    async def dead(request: web.Request, body: dict) -> web.StreamResponse | None:
        if text in str(body.get("texts")) and not models.died:
            while len(await asyncio.to_thread(stored, url)) < PRODUCTS // 2:
                await asyncio.sleep(0.01)
            models.died = True
        return await reset(request) if models.died else None

    models.died = False
    models.before = dead


def last_product(url: str) -> str:
    """Return the title of the last product of a run, which goes in order of ids."""
    ((title,),) = run(url, 'SELECT "Title" FROM "ProductVariants" ORDER BY "Id" DESC LIMIT 1')
    return title


def test_a_server_that_dies_ends_the_run_and_what_was_stored_stays(
    shelfsight: Command, shop: str, models: Server
) -> None:
    dies_at_last(models, shop)
    done = shelfsight("backfill", "--json", **server_settings(models, SERVER_DOWN_TIMEOUT="1"))

    error = failed_plainly(done, 1)
    assert len(error.splitlines()) == 1
    assert f"{models.url} gave no usable answer within 1 s" in error
    assert "run again once it is well (what is stored stays)" in error
    result = json.loads(done.stdout.splitlines()[-1])
    assert PRODUCTS // 2 <= result["embedded"] < PRODUCTS
    assert (result["failed"], len(stored(shop))) == (0, result["embedded"])
    assert failures(shop) == {}

    models.before = None
    left = PRODUCTS - result["embedded"]
    assert shelfsight.result(**server_settings(models))["embedded"] == left
    assert len(stored(shop)) == PRODUCTS


def test_a_server_that_recovers_costs_no_product(
    shelfsight: Command, shop: str, models: Server
) -> None:
    broken = 4

    async def away(_request: web.Request, body: dict) -> web.StreamResponse | None:
        nonlocal broken
        if not any("Mug" in text for text in body.get("texts", ())):
            return None
        broken -= 1
        return web.Response(status=(500, 503)[broken % 2]) if broken >= 0 else None

    models.before = away
    result = shelfsight.result(**server_settings(models))

    assert (result["embedded"], result["failed"], result["exit_status"]) == (PRODUCTS, 0, 0)
    assert len(stored(shop)) == PRODUCTS


def test_another_servers_models_are_refused_before_anything_is_written(
    shelfsight: Command, shop: str, models: Server
) -> None:
    assert (
        shelfsight.result("--max-batches", "1", **server_settings(models))["embedded"]
        == PRODUCTS // 2
    )
    before = stored(shop)

    models.health = json.loads(json.dumps(HEALTH))
    models.health["models"]["text"]["revision"] = "3"
    error = failed_plainly(shelfsight("backfill", **server_settings(models)), 1)

    assert "letters@2" in error
    assert "letters@3" in error
    assert "--no-skip-existing --all" in error
    assert stored(shop) == before
    assert (
        shelfsight.result("--no-skip-existing", "--all", **server_settings(models))["embedded"]
        == PRODUCTS
    )


def test_columns_of_another_width_are_refused_before_anything_is_written(
    shelfsight: Command, shop: str, models: Server
) -> None:
    run(shop, 'ALTER TABLE "ProductEmbeddings" ALTER "TextEmbedding" TYPE vector(512)')
    error = failed_plainly(shelfsight("backfill", **server_settings(models)), 1)

    assert '"TextEmbedding" is vector(512); it must be vector(1024)' in error
    assert stored(shop) == {}
    assert failures(shop) == {}


@pytest.mark.parametrize("width", [1100, 384])
def test_vectors_of_other_widths_are_adapted_to_the_columns(
    shelfsight: Command, shop: str, models: Server, width: int
) -> None:
    models.health, models.widths = None, (768, width)
    assert shelfsight.result(**server_settings(models))["embedded"] == PRODUCTS
    ((found,),) = run(shop, 'SELECT DISTINCT vector_dims("TextEmbedding") FROM "ProductEmbeddings"')
    assert found == 1024


def test_with_a_text_only_server_this_process_embeds_the_pictures_and_says_so(
    shelfsight: Command, url: str, pictures: PictureHost
) -> None:
    create_tables(url)
    add_product(url, "Mug", *pictures.draw(1))
    server = VLLM()
    with serving(server.handle) as address:
        done = shelfsight(
            "backfill", EMBEDDING_SERVER_URL=f"{address}/v1", ALLOW_PRIVATE_IMAGES=pictures.host
        )
    assert done.returncode == 0, done
    notice = "embeds only the texts; pictures are embedded here, by efficientnet-lite1-lite2-int8"
    assert notice in done.stdout
    row = stored(url)["Mug"]
    assert row["ModelVersions"]["image"] == "efficientnet-lite1-lite2-int8@0.1.0.r1"
    assert row["ModelVersions"]["text"] == NAME
    assert None not in (row["ImageEmbedding"], row["TextEmbedding"], row["CombinedEmbedding"])
