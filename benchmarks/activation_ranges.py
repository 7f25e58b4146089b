"""Measure the ranges that the image model of `lite` uses, and write them to its file.

    python -m benchmarks.activation_ranges

The pictures are those of a demo shop, and photos made of them: drawn, so that none has to come
with the program. The ranges of real photos lie within, but for few values. After a change of the
file, the model's revision in `models/table.py` has to change, because its vectors do.
"""

import json
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from shelfsight.demo.shop.drawing import draw
from shelfsight.demo.shop.products import make_shop
from shelfsight.embedding.local import lite_graphs
from shelfsight.embedding.local.efficientnet import FloatLayers
from shelfsight.images.resize import pillow_resizer
from shelfsight.images.synthetic_photo import synthetic_photo
from shelfsight.models.table import EFFICIENTNET_LITE1_LITE2 as MODEL
from shelfsight.records import Pixels

SEED = 7
PRODUCTS = 80


def main() -> None:
    path = Path(lite_graphs.__file__).with_name(lite_graphs.RANGES)
    lines = (f"{json.dumps(name)}: {json.dumps(ends)}" for name, ends in ranges().items())
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(path)


def ranges() -> dict[str, tuple[float, float]]:
    """Return the least and the greatest output of each layer over all pictures."""
    layers = FloatLayers()
    for network in (lite_graphs.lite1_network(), lite_graphs.lite2_network()):
        network.feature_map(layers, "pixels")
    side = MODEL.picture.side
    declare = layers.graph.declare
    session = onnxruntime.InferenceSession(
        layers.graph.serialized(
            inputs=[declare("pixels", np.float32, ["n", 3, side, side])],
            outputs=[declare(value, np.float32, None) for value in layers.values.values()],
        ),
        providers=["CPUExecutionProvider"],
    )
    ends: dict[str, tuple[float, float]] = {}
    for picture in pictures():
        values = session.run(list(layers.values.values()), {"pixels": scaled(picture)})
        for name, value in zip(layers.values, values, strict=True):
            low, high = ends.get(name, (0.0, 0.0))
            ends[name] = min(low, rounded(value.min())), max(high, rounded(value.max()))
    return ends


def pictures() -> list[Pixels]:
    """Draw products, and make a photo of each."""
    chance = np.random.default_rng(SEED)
    drawn = [draw(product.design) for product in make_shop(SEED) if product.design][:PRODUCTS]
    both = [image for one in drawn for image in (one, synthetic_photo(one, chance))]
    return [
        pillow_resizer(image.convert("RGB"), MODEL.picture)((0, 0, *image.size)) for image in both
    ]


def scaled(picture: Pixels) -> NDArray[np.float32]:
    pixels = (picture.astype(np.float32) - MODEL.mean) / MODEL.deviation
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


def rounded(value: float) -> float:
    """Return a value with four digits: more would differ between processors."""
    return float(f"{value:.4g}")


if __name__ == "__main__":
    main()
