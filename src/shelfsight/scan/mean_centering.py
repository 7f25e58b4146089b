"""Mean-centring: subtracts what all pictures of a kind have in common, before a comparison."""

import numpy as np

from shelfsight.fusion import NEGLIGIBLE
from shelfsight.models.table import PAIRS
from shelfsight.records import ModelPair, Vector, model_name
from shelfsight.scan.matching import Centre, Means

PRIOR_SCANS = 20
"""How many scans the catalogue's mean counts for in the mean of scans, as a prior while few were
seen. Not tuned: 0, 20 and 50 give recall@1 within 0.01 of each other on the groceries."""


def helps(models: ModelPair) -> bool:
    """Whether scans by these models find more after mean-centring, by measurement."""
    name = model_name(models.image)
    return any(pair.image.is_centred for pair in PAIRS.values() if pair.image.name == name)


def centre_of(means: Means) -> Centre:
    """Return the means to subtract from the catalogue's and the scans' image vectors."""
    if means.scans is None:
        return Centre(catalogue=means.catalogue, scans=means.catalogue)
    total = means.count * means.scans + PRIOR_SCANS * means.catalogue
    scans = total / np.float32(means.count + PRIOR_SCANS)
    return Centre(catalogue=means.catalogue, scans=scans.astype(np.float32))


def centred(image: Vector, mean: Vector) -> Vector:
    """Subtract the mean and renormalise (768,); the image itself if nothing is left."""
    rest = image - mean
    length = float(np.linalg.norm(rest))
    return rest / np.float32(length) if length > NEGLIGIBLE else image
