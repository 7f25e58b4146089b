"""The bodies of requests to the scan server, as pydantic models."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from shelfsight.records import Weights
from shelfsight.scan.matching import Filters, GroupBy, ScanOptions

MAX_PHOTOS = 10
MAX_LIMIT = 100
ROUNDING = 1e-6
"""How far the sum of two parts of a photo may be above 1."""


def without_nul(text: str) -> str:
    """Return a text unchanged unless it contains a NUL character, which Postgres cannot store.

    Raises:
        ValueError: the text contains a NUL character.
    """
    if "\0" in text:
        raise ValueError("holds a NUL character")
    return text


Text = Annotated[str, Field(max_length=500), AfterValidator(without_nul)]
Words = Annotated[str, Field(max_length=4000), AfterValidator(without_nul)]
Price = Annotated[Decimal, Field(ge=0, le=10**12, decimal_places=6, allow_inf_nan=False)]
Part = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Size = Annotated[float, Field(ge=0.01, le=1, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]


class RequestModel(BaseModel):
    """A request body, with field names in camelCase.

    Unknown fields are refused, because they are most likely typing errors.
    """

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, extra="forbid"
    )


class FilterBody(RequestModel):
    """Which products may be found. Only clients that may see all owners may set `owner`."""

    category: Text | None = None
    options: dict[Text, Text] = Field(default_factory=dict, max_length=20)
    min_price: Price | None = None
    max_price: Price | None = None
    skus: list[Text] = Field(default_factory=list, max_length=1000)
    updated_since: AwareDatetime | None = None
    owner: Text | None = None


class WeightBody(RequestModel):
    """The weights of image and text in a score; only their ratio matters."""

    image: Share
    text: Share

    @model_validator(mode="after")
    def _require_a_weight(self) -> "WeightBody":
        if self.image == 0 and self.text == 0:
            raise ValueError("image and text are both 0")
        return self


class OptionsBody(RequestModel):
    """Options of a search: how many matches, of which products, and how they are scored."""

    limit: int = Field(10, ge=1, le=MAX_LIMIT)
    threshold: float | None = Field(None, ge=-1, le=1, allow_inf_nan=False)
    filters: FilterBody = Field(default_factory=FilterBody)
    group_by: GroupBy = "variant"
    weights: WeightBody | None = None

    def options(self, owner: str | None) -> ScanOptions:
        """Return the options of a scan over the products of `owner`; None means all owners."""
        filters, weights = self.filters, self.weights
        return ScanOptions(
            limit=self.limit,
            threshold=self.threshold,
            group_by=self.group_by,
            weights=None if weights is None else Weights(image=weights.image, text=weights.text),
            filters=Filters(
                owner=owner,
                category=filters.category,
                options=tuple(filters.options.items()),
                min_price=filters.min_price,
                max_price=filters.max_price,
                skus=tuple(filters.skus),
                updated_since=filters.updated_since,
            ),
        )


class ImageBody(RequestModel):
    """A photo: a URL to fetch, or the file itself in base64 or as a data URI.

    `metadata` may be anything; it has no effect.
    """

    url: str | None = None
    base64: str | None = None
    metadata: object = None

    @model_validator(mode="after")
    def _require_one_source(self) -> "ImageBody":
        if (self.url is None) == (self.base64 is None):
            raise ValueError("give either url or base64")
        return self


class BoxBody(RequestModel):
    """A part of a photo, by its upper left corner and its size, as parts of the upright photo."""

    x: Part
    y: Part
    width: Size
    height: Size

    @model_validator(mode="after")
    def _require_inside(self) -> "BoxBody":
        if max(self.x + self.width, self.y + self.height) > 1 + ROUNDING:
            raise ValueError("the box reaches beyond the photo")
        return self


class UnusedFields(RequestModel):
    """Fields of other servers' scans that mean nothing here, so that their clients can ask us."""

    target_sites: object = None
    reranker: object = None
    use_reranker: object = None
    mode: object = None
    links: object = None
    business_template: object = None


class ScanBody(OptionsBody, UnusedFields):
    """A scan: one photo (`imageUrl` or `imageBase64`) or several (`images`), words, or both.

    With `combineImages`, all photos must show the same thing, and are searched for together.
    Otherwise each photo is searched for separately. `box` is the part of the only photo that shows
    the thing. `targetSites`, `reranker`, `useReranker`, `mode`, `links` and `businessTemplate` have
    no effect; the response names those that were sent.
    """

    image_url: str | None = None
    image_base64: str | None = None
    images: list[ImageBody] | None = Field(None, min_length=1, max_length=MAX_PHOTOS)
    text_query: Words | None = None
    box: BoxBody | None = None
    combine_images: bool = False

    @property
    def ignored(self) -> list[str]:
        """The fields that were sent though they have no effect, by their names in JSON."""
        unused = UnusedFields.model_fields.keys() & self.model_fields_set
        names = [to_camel(name) for name in UnusedFields.model_fields if name in unused]
        has_metadata = any("metadata" in image.model_fields_set for image in self.images or ())
        return [*names, *(["images.metadata"] if has_metadata else [])]


class FeedbackBody(RequestModel):
    """A verdict on a scan: a match was `right`, a match was `wrong`, or `none` was right."""

    scan_id: Text
    verdict: Literal["right", "wrong", "none"]
    product_variant_id: Text | None = None

    @model_validator(mode="after")
    def _require_product(self) -> "FeedbackBody":
        if (self.verdict == "none") != (self.product_variant_id is None):
            raise ValueError("give productVariantId with right and wrong, and not with none")
        return self
