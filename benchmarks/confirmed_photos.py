"""Fit how much confirmed photos count beside a product's own picture, on real photos.

FOLDER is that of `benchmarks/scan_quality.py`, whose parts are those here:

    python -m benchmarks.confirmed_photos FOLDER [--models lite]

In each round, photos of `fit` and `choose` are confirmed and the other photos of `fit` are scanned:
with 1, 2 and 4 confirmed photos of each product, with 0 to 4 of each, and with 4 of each sixth
product. The constants of `ReferenceMixture` are those that make what is right most probable, all
rounds alike.
Then the mean negative log probability of what is right is printed for each round of `fit`, and for
rounds in which photos of `choose` are scanned after photos of `fit` were confirmed.
"""

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from benchmarks.scan_quality import LabelledQuery, Part, labelled_queries, learn, prepared, rows

from shelfsight.models.calibration import Evidence
from shelfsight.records import EvidenceKind, Vector
from shelfsight.scan.confidence import built_in
from shelfsight.scan.confirmed_photos import MIXTURE, ReferenceMixture, with_confirmed
from shelfsight.scan.evidence import ABSENT_PRIOR, absent_log_ratio, log_ratios, odds_of
from shelfsight.scan.matching import Candidate, ScanOptions
from shelfsight.scan.mean_centering import centre_of, centred
from shelfsight.scan.ranking import COLOR_SHARE, SCORES
from shelfsight.settings import load
from shelfsight.storage.search.product_search import PostgresProductSearch
from shelfsight.wiring.scanning import make_scanner

ROUNDS: dict[str, Callable[[np.random.Generator], int]] = {
    "1 each": lambda _: 1,
    "2 each": lambda _: 2,
    "4 each": lambda _: 4,
    "0 to 4": lambda chance: int(chance.choice([0, 0, 1, 2, 4])),
    "4 of a sixth": lambda chance: 4 * int(chance.random() < 1 / 6),
}
"""Each round with a function that returns how many photos of a product are confirmed."""

SEEDS = (1, 2)
STEPS = (0.4, 0.2, 0.1, 0.05, 0.025)
"""The steps of the fit, in logarithms of the constants."""


class Photo(NamedTuple):
    """A scanned photo: its label, its centred vector (768,), and its candidates with their scores.

    `picture` and `others` are the log-likelihood ratios of the candidates, (n,).
    """

    part: Part
    sku: str
    vector: Vector
    candidates: list[Candidate]
    picture: np.ndarray
    others: np.ndarray
    absent: float


class Asked(NamedTuple):
    """A photo in a round: candidates with their confirmed photos, and the place of the right."""

    photo: Photo
    candidates: list[Candidate]
    right: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", default="lite")
    arguments = parser.parse_args()
    folder: Path = arguments.folder.absolute()
    with tempfile.TemporaryDirectory(prefix="shelfsight-", dir="/var/tmp") as home:
        Path(home).chmod(0o755)
        settings = load(
            {"shelfsight_home": home, "models": arguments.models, "image_root": str(folder)}
        )
        with prepared(settings, rows(folder / "catalog.csv")) as (database, embedder):
            calibration = built_in(embedder.models)
            if calibration is None:
                raise SystemExit("these models have no calibration")
            queries = labelled_queries(settings, folder, embedder)["photo only"]
            learn(database, embedder, queries, "report")
            search = PostgresProductSearch(database)
            search.require(embedder.models)
            means = search.means(None)
            if means is None:
                raise SystemExit("no product has a picture")
            scanner = make_scanner(settings, database, embedder, learns=False)
            photos = []
            for one in queries:
                if one.part != "report":
                    found = scanner.scan(one.scan_query, ScanOptions(limit=200, threshold=-1.0))
                    candidates = [match.product for match in found.matches]
                    vector = centred(found.vectors[0], centre_of(means).scans)
                    photos.append(scored(one, vector, candidates, calibration.evidence))
    evidence = calibration.evidence["image"]
    rounds = {name: asked_in(name, photos, "fit") for name in ROUNDS}
    fitted = fit([*rounds.values()], evidence)
    print(f"fitted: {fitted}\nin use: {MIXTURE}")
    for name in ROUNDS:
        told = []
        for part in ("fit", "choose"):
            asked = rounds[name] if part == "fit" else asked_in(name, photos, part)
            told.append(f"{part} {loss(asked, evidence, MIXTURE):.3f} of {len(asked)} scans")
        print(f"  {name}: negative log probability of what is right, {'; '.join(told)}")


def scored(
    query: LabelledQuery,
    vector: Vector,
    candidates: list[Candidate],
    evidence: Mapping[EvidenceKind, Evidence],
) -> Photo:
    """Return a photo with the log-likelihood ratios of its candidates."""
    image, color = (
        np.array([SCORES[kind](one) for one in candidates], float) for kind in ("image", "color")
    )
    return Photo(
        part=query.part,
        sku=query.name,
        vector=vector,
        candidates=candidates,
        picture=log_ratios(image, evidence["image"]),
        others=COLOR_SHARE * log_ratios(color, evidence["color"]),
        absent=float(
            absent_log_ratio(image, evidence["image"])
            + COLOR_SHARE * absent_log_ratio(color, evidence["color"])
        ),
    )


def asked_in(name: str, photos: Sequence[Photo], part: Part) -> list[Asked]:
    """Return the scans of a part in one round, once for each seed.

    Photos are confirmed from `fit`, and for the scans of `fit` from `choose` too.
    """
    asked: list[Asked] = []
    for seed in SEEDS:
        chance = np.random.default_rng(seed)
        confirmed: dict[str, list[int]] = {}
        for sku in sorted({one.sku for one in photos}):
            pool = [
                place
                for place, one in enumerate(photos)
                if one.sku == sku and (part == "fit" or one.part == "fit")
            ]
            drawn = chance.permutation(pool)[: ROUNDS[name](chance)]
            confirmed[sku] = [int(place) for place in drawn]
        known = {place for places in confirmed.values() for place in places}
        for place, one in enumerate(photos):
            if one.part == part and place not in known:
                candidates = [
                    candidate._replace(
                        confirmed=[
                            (float(one.vector @ photos[other].vector), 1.0)
                            for other in confirmed.get(candidate.sku or "", ())
                        ]
                    )
                    for candidate in one.candidates
                ]
                right = [candidate.sku for candidate in candidates].index(one.sku)
                asked.append(Asked(one, candidates, right))
    return asked


def fit(rounds: Sequence[Sequence[Asked]], evidence: Evidence) -> ReferenceMixture:
    """Return the constants with the least loss, by steps along each that halve when none helps."""

    def mean_loss(numbers: np.ndarray) -> float:
        mixture = ReferenceMixture(*np.exp(numbers).tolist())
        return sum(loss(asked, evidence, mixture) for asked in rounds) / len(rounds)

    point = np.log(MIXTURE)
    least = mean_loss(point)
    for step in STEPS:
        improved = True
        while improved:
            improved = False
            for place in range(len(point)):
                for direction in (step, -step):
                    tried = point.copy()
                    tried[place] += direction
                    value = mean_loss(tried)
                    if value < least:
                        point, least, improved = tried, value, True
    return ReferenceMixture(*np.exp(point).round(3).tolist())


def loss(asked: Sequence[Asked], evidence: Evidence, mixture: ReferenceMixture) -> float:
    """Return the mean negative log probability of what is right.

    In one scan of ten the right product is hidden, so that "not in the catalogue" is right.
    """
    total = 0.0
    for one in asked:
        photo = one.photo
        both = with_confirmed(photo.picture, one.candidates, evidence, mixture=mixture)
        odds, rival = odds_of(both + photo.others, photo.absent)
        shown = np.logaddexp(np.logaddexp.reduce(odds), rival) - odds[one.right]
        odds[one.right] = -np.inf
        hidden = np.logaddexp(np.logaddexp.reduce(odds), rival) - rival
        total += float((1 - ABSENT_PRIOR) * shown + ABSENT_PRIOR * hidden)
    return total / len(asked)


if __name__ == "__main__":
    main()
