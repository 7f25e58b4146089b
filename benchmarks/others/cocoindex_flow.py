"""CocoIndex, following its example "Postgres as a source", with a picture in addition to the text.

Batching is that of its own embedder (`cocoindex.ops.sentence_transformers`): up to 64 items, on the
runner that runs one model at a time. The number of products in flight is its default, 1024.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

import aiohttp
import asyncpg
import cocoindex as coco
import numpy as np
from benchmarks.others import common
from cocoindex.connectors import postgres
from cocoindex.resources.schema import VectorSchema
from numpy.typing import NDArray

PACKAGE = "cocoindex"

DATABASE = coco.ContextKey[asyncpg.Pool]("database")
HTTP = coco.ContextKey[aiohttp.ClientSession]("http")

ImageVector = Annotated[NDArray, VectorSchema(np.dtype(np.float32), common.IMAGE_WIDTH)]
TextVector = Annotated[NDArray, VectorSchema(np.dtype(np.float32), common.TEXT_WIDTH)]


@dataclass
class SourceProduct:
    """A row of the source table."""

    id: str
    title: str
    description: str
    image_url: str


@dataclass
class EmbeddedProduct:
    """A row of the target table."""

    id: str
    image: ImageVector
    text: TextVector
    combined: ImageVector


@coco.lifespan
async def lifespan(builder: coco.EnvironmentBuilder) -> AsyncIterator[None]:
    arguments = common.arguments()
    builder.settings.db_path = arguments.folder / "cocoindex.db"
    async with (
        await postgres.create_pool(arguments.database) as pool,
        aiohttp.ClientSession(raise_for_status=True) as session,
    ):
        builder.provide(DATABASE, pool)
        builder.provide(HTTP, session)
        yield


@coco.fn.as_async
def pixels(data: bytes) -> NDArray[np.uint8]:
    return common.pixels(data)


@coco.fn.as_async(batching=True, runner=coco.GPU, max_batch_size=64)
def embed_images(pictures: list[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
    return common.models().images(pictures)


@coco.fn.as_async(batching=True, runner=coco.GPU, max_batch_size=64)
def embed_texts(texts: list[str]) -> list[NDArray[np.float32]]:
    return common.models().texts(texts)


@coco.fn
async def embed_picture(url: str) -> NDArray[np.float32]:
    async with coco.use_context(HTTP).get(url) as response:
        data = await response.read()
    return await embed_images(await pixels(data))


@coco.fn(memo=True)
async def process_product(
    product: SourceProduct, table: postgres.TableTarget[EmbeddedProduct]
) -> None:
    image, text = await asyncio.gather(
        embed_picture(product.image_url),
        embed_texts(common.text_of(product.title, product.description)),
    )
    table.declare_row(
        row=EmbeddedProduct(product.id, image, text, common.combined(image, text)),
    )


@coco.fn
async def app_main(source: str) -> None:
    table = await postgres.mount_table_target(
        DATABASE,
        table_name=f"{source}_cocoindex",
        table_schema=await postgres.TableSchema.from_class(EmbeddedProduct, primary_key=["id"]),
    )
    products = postgres.PgTableSource(
        coco.use_context(DATABASE), table_name=source, row_type=SourceProduct
    )
    await coco.mount_each(process_product, products.fetch_rows().items(lambda p: p.id), table)


def prepare(_source: str) -> None:
    common.models()


def pipeline(source: str) -> None:
    coco.App(coco.AppConfig(name=source), app_main, source).update_blocking()
