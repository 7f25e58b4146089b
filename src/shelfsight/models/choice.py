"""Reads what `MODELS` names: a pair of the table, or an image model and a text model of it.

A name may end with a number format, as `siglip-qwen3-int8`.
"""

import re
from collections.abc import Iterator
from typing import get_args

from shelfsight.models.specs import (
    ImageSpec,
    ModelSpec,
    Pair,
    Precision,
    Spec,
    TextSpec,
    in_precision,
)
from shelfsight.models.table import PAIRS
from shelfsight.records import ModelPair, model_name

_PRECISIONS: tuple[Precision, ...] = get_args(Precision)

_MIXED = re.compile(r"image:(?P<image>[^,:]+),text:(?P<text>[^,:]+)")


def image_models() -> dict[str, ImageSpec]:
    """Return the image models of the table by name, in all number formats."""
    rows = [form for pair in PAIRS.values() for form in _all_formats(pair.image)]
    return {spec.name: spec for spec in rows}


def text_models() -> dict[str, TextSpec]:
    """Return the text models of the table by name, in all number formats."""
    rows = [form for pair in PAIRS.values() for form in _all_formats(pair.text)]
    return {spec.name: spec for spec in rows}


def all_models() -> list[ModelSpec]:
    """Return the image models, then the text models, each as its row has it."""
    images: dict[str, ModelSpec] = {pair.image.name: pair.image for pair in PAIRS.values()}
    texts: dict[str, ModelSpec] = {pair.text.name: pair.text for pair in PAIRS.values()}
    return [*images.values(), *texts.values()]


def pair_of(chosen: str) -> Pair:
    """Return the pair that `MODELS` names, by its name or as `image:NAME,text:NAME`.

    Raises:
        ValueError: there is no such pair or model; the message says what is allowed.
    """
    if chosen in PAIRS:
        return PAIRS[chosen]
    base, _, ending = chosen.rpartition("-")
    for precision in _PRECISIONS:
        if ending == precision and base in PAIRS:
            return _pair_in(PAIRS[base], precision)
    mixed = _MIXED.fullmatch(chosen.replace(" ", ""))
    if mixed is None:
        names = ", ".join(map(repr, PAIRS))
        raise ValueError(f"{names}, or image:NAME,text:NAME (see: shelfsight models --list)")
    image, text = image_models().get(mixed["image"]), text_models().get(mixed["text"])
    if image is None:
        raise ValueError(f"an image model of {', '.join(image_models())}")
    if text is None:
        raise ValueError(f"a text model of {', '.join(text_models())}")
    return Pair(image=image, text=text)


def known_pair(models: ModelPair) -> Pair | None:
    """Return the rows of both models; None if one is not in the table, or of another revision."""
    mixed = (
        Pair(image=image, text=text)
        for image in image_models().values()
        for text in text_models().values()
    )
    return next((pair for pair in mixed if models.accepts(pair.identities)), None)


def name_of_pair(image: str | None, text: str | None) -> str | None:
    """Return what `MODELS` calls the models with these identities; None if one is not known.

    An identity of None fits every model. Revisions are not compared.
    """
    for name, pair in _named_pairs():
        if (image is None or model_name(image) == pair.image.name) and (
            text is None or model_name(text) == pair.text.name
        ):
            return name
    if image is None or text is None:
        return None
    mixed = f"image:{model_name(image)},text:{model_name(text)}"
    try:
        pair_of(mixed)
    except ValueError:
        return None
    return mixed


def with_precision(chosen: str, precision: Precision) -> str:
    """Return what `MODELS` calls these models in a number format.

    Raises:
        ValueError: a model has no such format, or `chosen` names the format of each model itself.
    """
    if precision == "fp32":
        return chosen
    if chosen not in PAIRS:
        raise ValueError(
            f"PRECISION is for a pair; in MODELS={chosen} add -{precision} to the names of models"
        )
    _pair_in(PAIRS[chosen], precision)
    return f"{chosen}-{precision}"


def _pair_in(pair: Pair, precision: Precision) -> Pair:
    return Pair(
        image=in_precision(pair.image, precision),
        text=in_precision(pair.text, precision),
        use=pair.use,
    )


def _all_formats(spec: Spec) -> Iterator[Spec]:
    yield spec
    for form in spec.small:
        yield in_precision(spec, form.precision)


def _named_pairs() -> Iterator[tuple[str, Pair]]:
    """Yield all pairs that have a name, in all formats that both of their models have."""
    for name, pair in PAIRS.items():
        yield name, pair
        formats = [form.precision for form in pair.image.small]
        for form in pair.text.small:
            if form.precision in formats:
                yield f"{name}-{form.precision}", _pair_in(pair, form.precision)
