"""What the embedding server makes of pictures, instructions and dimensions."""

import numpy as np
import pytest

from shelfsight.embedding.remote.remote_embedder import encode_picture
from shelfsight.images.decoder.pool import DecoderPool
from shelfsight.images.decoder.protocol import whole
from shelfsight.models.table import QUERY_INSTRUCTION, QWEN3, SIGLIP, WORDLLAMA
from shelfsight.serving.embedding_api.model_batchers import allowed_dimensions, instruction_prefix
from shelfsight.serving.embedding_api.picture_input import read_picture


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("colours", [1, 8, 256])
def test_the_server_sees_the_very_pixels_that_our_client_sends(
    colours: int, compressed: bool, decoders: DecoderPool
) -> None:
    side = SIGLIP.picture.side
    pixels = np.random.default_rng(1).integers(0, colours, (side, side, 3), np.uint8)
    file = read_picture(encode_picture(pixels, compressed=compressed))
    assert isinstance(file, bytes)
    assert np.array_equal(decoders.decode(whole(SIGLIP.picture), file)[0], pixels)


def test_the_usual_instruction_reads_as_the_model_does_in_process() -> None:
    assert instruction_prefix(QWEN3, QUERY_INSTRUCTION) + "mugs" == QWEN3.query.format(text="mugs")


def test_another_instruction_takes_its_place() -> None:
    assert instruction_prefix(QWEN3, "Find {text}") == "Instruct: Find {text}\nQuery:"
    assert instruction_prefix(QWEN3, None) == instruction_prefix(WORDLLAMA, "Find it") == ""


def test_only_models_trained_for_it_are_cut_short() -> None:
    assert list(allowed_dimensions(SIGLIP)) == [768]
    assert 32 in allowed_dimensions(QWEN3)
    assert 31 not in allowed_dimensions(QWEN3)
    assert 1024 in allowed_dimensions(WORDLLAMA)
    assert 1025 not in allowed_dimensions(WORDLLAMA)
