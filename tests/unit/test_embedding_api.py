"""What the embedding server makes of pictures, instructions and dimensions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.embedding import plain_bmp
from shelfsight.embedding.remote.picture_files import Encode, encode_bmp, encode_webp
from shelfsight.images.decoder.pool import DecoderPool
from shelfsight.images.decoder.protocol import whole
from shelfsight.models.table import QUERY_INSTRUCTION, QWEN3, SIGLIP, WORDLLAMA
from shelfsight.serving.embedding_api.model_batchers import allowed_dimensions, instruction_prefix
from shelfsight.serving.embedding_api.picture_input import read_picture


@pytest.mark.parametrize("encode", [encode_webp, encode_bmp])
@pytest.mark.parametrize("colours", [1, 8, 256])
def test_the_server_sees_the_very_pixels_that_our_client_sends(
    colours: int, encode: Encode, decoders: DecoderPool
) -> None:
    side = SIGLIP.picture.side
    pixels = np.random.default_rng(1).integers(0, colours, (side, side, 3), np.uint8)
    seen = read_picture(encode(pixels), side)
    if encode is encode_webp:
        assert isinstance(seen, bytes)
        seen = decoders.decode(whole(SIGLIP.picture), seen)[0]
    assert np.array_equal(seen, pixels)


@given(side=st.integers(1, 40), seed=st.integers(0, 999))
def test_an_uncompressed_picture_is_read_as_the_decoder_reads_it(side: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    assert np.array_equal(plain_bmp.read(plain_bmp.encode(pixels), side), pixels)


@given(place=st.integers(0, 53), bits=st.integers(1, 255), cut=st.integers(-3, 3))
def test_any_other_bmp_is_left_to_the_decoder(place: int, bits: int, cut: int) -> None:
    file = bytearray(plain_bmp.encode(np.zeros((8, 8, 3), np.uint8)))
    assert plain_bmp.read(bytes(file), 9) is None
    if cut:
        assert plain_bmp.read(bytes(file)[:cut] if cut < 0 else bytes(file) + b"x" * cut, 8) is None
    file[place] ^= bits
    assert plain_bmp.read(bytes(file), 8) is None


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
