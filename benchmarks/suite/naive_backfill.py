"""The naive baseline, as written in an afternoon: one product after another, one insert each.

It uses the same server, models, pictures, database and columns as the backfill.
"""

import base64
from io import BytesIO

import numpy as np
import psycopg
import requests
from pgvector.psycopg import register_vector
from PIL import Image


def naive_backfill(database: str, server: str, products: int) -> int:
    """Embed `products` products that have no vectors yet; return how many were stored."""
    stored = 0
    with psycopg.connect(database, autocommit=True) as connection:
        register_vector(connection)
        rows = connection.execute(
            """SELECT v."Id", v."Title", v."Description", i."ImageUrl"
               FROM "ProductVariants" v
               JOIN "ProductImages" i ON i."ProductVariantId" = v."Id"
               LEFT JOIN "ProductEmbeddings" e ON e."ProductVariantId" = v."Id"
               WHERE e."Id" IS NULL ORDER BY v."Id" LIMIT %s""",
            [products],
        ).fetchall()
        for id_, title, description, url in rows:
            picture = requests.get(url, timeout=30)
            picture.raise_for_status()
            image = image_vector(server, picture.content)
            text = text_vector(server, f"{title} {description}")
            combined = 0.7 * image + 0.3 * unit(text[:768])
            connection.execute(
                """INSERT INTO "ProductEmbeddings" ("ProductVariantId", "ImageEmbedding",
                     "TextEmbedding", "CombinedEmbedding", "ImageUrl", "ProductText", "SourceType",
                     "SourceHash")
                   VALUES (%s, %s, %s, %s, %s, %s, 'image_text', 'naive')""",
                [id_, image, text, unit(combined), url, title],
            )
            stored += 1
    return stored


def image_vector(server: str, data: bytes) -> np.ndarray:
    """Return the embedding of one picture, sent in the model's size."""
    shrunk = BytesIO()
    Image.open(BytesIO(data)).convert("RGB").resize((224, 224)).save(shrunk, "PNG")
    sent = base64.b64encode(shrunk.getvalue()).decode()
    answer = requests.post(f"{server}/embed/image", json={"image_data": sent}, timeout=60)
    return read(answer)


def text_vector(server: str, text: str) -> np.ndarray:
    """Return the embedding of one text."""
    answer = requests.post(f"{server}/embed/text", json={"texts": [text]}, timeout=60)
    return read(answer)


def read(answer: requests.Response) -> np.ndarray:
    """Return the only vector of a response, normalised."""
    answer.raise_for_status()
    first = answer.json()["embeddings"][0]
    if isinstance(first, str):
        return unit(np.frombuffer(base64.b64decode(first), "<f4"))
    return unit(np.array(first, np.float32))


def unit(vector: np.ndarray) -> np.ndarray:
    """Return the vector scaled to length 1."""
    return vector / np.linalg.norm(vector)
