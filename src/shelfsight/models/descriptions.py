"""Says in words and JSON what the table knows of each model and pair, for people who choose."""

from dataclasses import dataclass

from shelfsight.models.choice import all_models
from shelfsight.models.specs import HubFiles, ImageSpec, ModelSpec, PackagedModel, Pair
from shelfsight.models.table import PAIRS

Fields = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairDescription:
    """A pair for a table: `download` is what its files take, and `use` what it is good for."""

    name: str
    image: str
    text: str
    licence: str
    download: str
    use: str


def describe(name: str, pair: Pair) -> PairDescription:
    """Describe a pair that `MODELS` calls `name`."""
    models: tuple[ModelSpec, ...] = (pair.image, pair.text)
    licences = dict.fromkeys(licence_of(one) for one in models)
    sizes = [size_of(one.source) for one in models]
    return PairDescription(
        name=name,
        image=f"{pair.image.name} ({widths_of(pair.image)})",
        text=f"{pair.text.name} ({widths_of(pair.text)})",
        licence=", ".join(licences),
        download=_bytes(None if None in sizes else sum(size or 0 for size in sizes)),
        use=pair.use,
    )


def pair_descriptions() -> list[PairDescription]:
    """Describe all pairs of the table."""
    return [describe(name, pair) for name, pair in PAIRS.items()]


def widths_of(spec: ModelSpec) -> str:
    """Say how many values a model's vector has, and how many its column has, if it is projected."""
    if spec.width > spec.column:
        return f"{spec.width} values, projected to {spec.column}"
    return f"{spec.width} values"


def licence_of(spec: ModelSpec) -> str:
    """Return the licence of a model's weights; "not known" for a row that does not say it."""
    return "not known" if spec.facts is None else spec.facts.licence


def size_of(source: HubFiles | PackagedModel) -> int | None:
    """Return how many bytes are downloaded: 0 for a package, None if that is not known."""
    return 0 if isinstance(source, PackagedModel) else source.size


def as_json() -> Fields:
    """Return all pairs and models as JSON; sizes are in bytes."""
    return {
        "pairs": [
            {"name": name, "image": pair.image.name, "text": pair.text.name, "use": pair.use}
            for name, pair in PAIRS.items()
        ],
        "models": [_model(spec) for spec in all_models()],
    }


def _model(spec: ModelSpec) -> Fields:
    onnx = spec.source
    files = {"onnx": _files(onnx, spec.revision)}
    if spec.torch is not None:
        files["torch"] = _files(spec.torch.hub, spec.torch.revision)
    return {
        "name": spec.name,
        "kind": "image" if isinstance(spec, ImageSpec) else "text",
        "width": spec.width,
        "column": spec.column,
        "licence": licence_of(spec),
        "figures": "" if spec.facts is None else spec.facts.figures,
        "precisions": ["fp32", *(form.precision for form in spec.small)],
        "backends": files,
    }


def _files(source: HubFiles | PackagedModel, revision: str) -> Fields:
    if isinstance(source, PackagedModel):
        return {"package": revision, "size": 0}
    names = [source.graph, *source.others]
    return {
        "repository": source.repository,
        "revision": revision,
        "files": names,
        "size": source.size,
    }


def _bytes(size: int | None) -> str:
    if size is None:
        return "not known"
    return f"{size / 1e9:.1f} GB" if size else "none"
