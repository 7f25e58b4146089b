"""Formats what `MODELS` can name, as lines for people."""

from collections.abc import Iterator

from shelfsight.models.choice import all_models
from shelfsight.models.descriptions import licence_of, pair_descriptions, widths_of


def lines() -> Iterator[str]:
    """Yield the pairs, then the image models and the text models that can be mixed."""
    for pair in pair_descriptions():
        yield f"{pair.name}: {pair.use}"
        yield f"  image: {pair.image}"
        yield f"  text: {pair.text}"
        yield f"  licence: {pair.licence}; download: {pair.download}"
    yield ""
    yield "Mixed as MODELS=image:NAME,text:NAME:"
    for spec in all_models():
        figures = "" if spec.facts is None else spec.facts.figures
        told = "; ".join(filter(None, (widths_of(spec), licence_of(spec), figures)))
        yield f"  {spec.name}: {told}"
