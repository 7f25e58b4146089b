"""The generated shop is reproducible, has its promised faults, and no two pictures look alike."""

from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from shelfsight.demo.shop import product_kinds
from shelfsight.demo.shop.drawing import (
    ARTWORK_PAINTERS,
    PICTURE_SIDE,
    PRODUCT_DRAWERS,
    cut_out,
    draw,
    draw_pictures,
)
from shelfsight.demo.shop.photograph import PHOTO_SIDE, photograph, take_photographs
from shelfsight.demo.shop.products import LARGEST, MISSING_PICTURE, SMALLEST, DemoProduct, make_shop
from shelfsight.demo.shop.wording import LONG_TEXT

THUMBNAIL = (32, 32)
MIN_DIFFERENCE = 8.0
"""Mean difference in grey levels below which two thumbnails are hard to tell apart."""


@pytest.fixture(scope="module")
def shop() -> list[DemoProduct]:
    return make_shop(seed=7, count=60)


@pytest.fixture(scope="module")
def folder(shop: list[DemoProduct], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop") / "pictures"
    assert draw_pictures(shop, folder) == len({p.picture for p in shop if p.design})
    return folder


def on_white(path: Path) -> Image.Image:
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image).convert("RGBA")
    white = Image.new("RGBA", upright.size, "white")
    return Image.alpha_composite(white, upright).convert("RGB")


def thumbnail(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB").resize(THUMBNAIL), np.float64)


def test_the_same_seed_gives_the_same_shop_and_another_seed_another():
    assert make_shop(seed=3) == make_shop(seed=3)
    assert make_shop(seed=3) != make_shop(seed=4)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(SMALLEST, LARGEST))
def test_a_shop_of_any_size_has_its_share_of_faulty_products(seed: int, count: int):
    shop = make_shop(seed=seed, count=count)
    share = round(count * 0.05)
    users = Counter(p.picture for p in shop if p.picture)
    assert len(shop) == len({p.sku for p in shop}) == count
    assert sum(p.picture is None for p in shop) == share + 1
    assert sum(not p.title and not p.description for p in shop) == share + 1
    assert sum(not p.title and p.picture is None for p in shop) == 1
    assert sum(p.picture == MISSING_PICTURE and p.design is None for p in shop) == 1
    assert abs(sum(n for n in users.values() if n > 1) - share) <= 1
    assert max(len(p.description) for p in shop) == pytest.approx(LONG_TEXT, rel=0.01)


def test_titles_are_unique_and_size_variants_share_a_picture():
    shop = make_shop()
    titles = [p.title for p in shop if p.title]
    assert len(set(titles)) == len(titles)
    users = Counter(p.picture for p in shop if p.picture)
    variants = [p for p in shop if users[p.picture] > 1]
    for picture in {p.picture for p in variants}:
        assert len({p.options["Size"] for p in variants if p.picture == picture}) == 3


def test_texts_are_written_in_the_styles_of_real_shops():
    shop = make_shop()
    assert any("<li>" in p.description and "&nbsp;" in p.description for p in shop)
    assert any(p.title.isupper() for p in shop)
    assert any("🎁" in p.description and "日本語" in p.description for p in shop)
    assert any(p.description.startswith("• ") for p in shop)
    assert any(p.title and not p.description for p in shop)
    assert {p.owner for p in shop} == {"atelier-nord", "atelier-sud"}


@pytest.mark.parametrize("count", [SMALLEST - 1, LARGEST + 1])
def test_a_count_outside_the_limits_is_refused(count: int):
    with pytest.raises(ValueError, match=str(count)):
        make_shop(count=count)


def test_every_kind_and_pattern_has_a_name_and_a_drawing():
    assert set(product_kinds.PRODUCT_KINDS) == set(PRODUCT_DRAWERS)
    assert set(product_kinds.PATTERN_NAMES) == set(ARTWORK_PAINTERS)


def test_every_kind_fills_a_visible_part_of_its_picture(shop: list[DemoProduct], folder: Path):
    designs = {p.design.kind: p.design for p in shop if p.design}
    assert set(designs) == set(PRODUCT_DRAWERS)
    for design in designs.values():
        pixels = thumbnail(on_white(folder / design.file_name))
        differs_from_corner = np.abs(pixels - pixels[0, 0]).max(axis=2) > 40
        assert 0.1 < differs_from_corner.mean() < 0.9, design.kind


def test_every_picture_is_written_completely_and_decodes(shop: list[DemoProduct], folder: Path):
    files = {path.name for path in folder.iterdir()}
    assert files == {p.picture for p in shop if p.design}
    assert MISSING_PICTURE not in files
    for name in files:
        assert on_white(folder / name).size == (PICTURE_SIDE, PICTURE_SIDE)


def test_pictures_come_in_formats_that_decoders_stumble_over(shop: list[DemoProduct], folder: Path):
    seen = {}
    for design in (p.design for p in shop if p.design):
        with Image.open(folder / design.file_name) as image:
            seen[design.format] = (image.format, image.mode, image.getexif().get(0x0112))
            shown = ImageOps.exif_transpose(image).convert("RGB")
        if design.format in ("gif", "cmyk", "sideways"):
            difference = np.abs(thumbnail(shown) - thumbnail(draw(design))).mean()
            assert difference < 6, design
    assert seen["cutout"] == ("PNG", "RGBA", None)
    assert seen["gif"] == ("GIF", "P", None)
    assert seen["cmyk"] == ("JPEG", "CMYK", None)
    assert seen["sideways"] == ("JPEG", "RGB", 6)
    assert {"jpeg", "png", "webp"} <= set(seen)


def test_a_second_call_draws_only_what_is_missing(shop: list[DemoProduct], folder: Path):
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert draw_pictures(shop, folder) == 0
    deleted = next(iter(before))
    content = (folder / deleted).read_bytes()
    (folder / deleted).unlink()
    assert draw_pictures(shop, folder) == 1
    assert (folder / deleted).read_bytes() == content
    assert {path.name for path in folder.iterdir()} == set(before)


def test_no_two_pictures_can_be_confused(folder: Path):
    thumbnails = {path.name: thumbnail(on_white(path)) for path in folder.iterdir()}
    for (one, first), (other, second) in combinations(thumbnails.items(), 2):
        assert np.abs(first - second).mean() > MIN_DIFFERENCE, (one, other)


def test_even_products_of_one_kind_in_one_palette_differ_by_their_pattern(shop: list[DemoProduct]):
    design = next(p.design for p in shop if p.design)
    mugs = [replace(design, kind="mug", pattern=name) for name in list(ARTWORK_PAINTERS)[::5]]
    thumbnails = [thumbnail(draw(mug)) for mug in mugs]
    for first, second in combinations(thumbnails, 2):
        assert np.abs(first - second).mean() > 1


def test_a_photograph_differs_from_the_picture_of_the_product(shop: list[DemoProduct]):
    product = cut_out(next(p.design for p in shop if p.design))
    photo = photograph(product, np.random.default_rng(1))
    assert photo.size == (PHOTO_SIDE, PHOTO_SIDE)
    assert photo.mode == "RGB"
    assert np.abs(thumbnail(photo) - thumbnail(product)).mean() > 20


def test_the_seed_picks_the_photographed_products_and_none_that_share_a_picture(
    shop: list[DemoProduct], tmp_path: Path
):
    taken = take_photographs(shop, tmp_path / "a", seed=5, count=2)
    again = take_photographs(shop, tmp_path / "b", seed=5, count=2)
    other = take_photographs(shop, tmp_path / "c", seed=6, count=2)
    assert [sku for _, sku in taken] == [sku for _, sku in again] != [sku for _, sku in other]
    assert [path.read_bytes() for path, _ in taken] == [path.read_bytes() for path, _ in again]
    users = Counter(p.picture for p in shop)
    by_sku = {p.sku: p for p in shop}
    for path, sku in (*taken, *other):
        assert by_sku[sku].design is not None
        assert users[by_sku[sku].picture] == 1
        with Image.open(path) as photo:
            assert photo.format == "JPEG"
