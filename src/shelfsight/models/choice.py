"""Reads what `MODELS` names: a pair of the table, or an image model and a text model of it."""

import re

from shelfsight.models.specs import ImageSpec, ModelSpec, Pair, TextSpec
from shelfsight.models.table import PAIRS
from shelfsight.records import ModelPair, model_name

_MIXED = re.compile(r"image:(?P<image>[^,:]+),text:(?P<text>[^,:]+)")


def image_models() -> dict[str, ImageSpec]:
    """Return the image models of the table by name."""
    return {pair.image.name: pair.image for pair in PAIRS.values()}


def text_models() -> dict[str, TextSpec]:
    """Return the text models of the table by name."""
    return {pair.text.name: pair.text for pair in PAIRS.values()}


def all_models() -> list[ModelSpec]:
    """Return the image models, then the text models."""
    return [*image_models().values(), *text_models().values()]


def pair_of(chosen: str) -> Pair:
    """Return the pair that `MODELS` names, by its name or as `image:NAME,text:NAME`.

    Raises:
        ValueError: there is no such pair or model; the message says what is allowed.
    """
    if chosen in PAIRS:
        return PAIRS[chosen]
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
    for name, pair in PAIRS.items():
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
