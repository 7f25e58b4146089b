"""What a scan is asked with, as JSON or as the fields of a form."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from shelfsight.records import Weights
from shelfsight.scan.matching import Filters, GroupBy, ScanOptions

MAX_PHOTOS = 10
MAX_LIMIT = 100


def without_nul(text: str) -> str:
    """Refuse a text that Postgres would not take.

    Raises:
        ValueError: it holds a NUL.
    """
    if "\0" in text:
        raise ValueError("holds a NUL character")
    return text


Text = Annotated[str, Field(max_length=500), AfterValidator(without_nul)]
Words = Annotated[str, Field(max_length=4000), AfterValidator(without_nul)]
Price = Annotated[Decimal, Field(ge=0, le=10**12, decimal_places=6, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]


class Wire(BaseModel):
    """JSON in camelCase; a field that does not exist is refused, as it would change nothing."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, extra="forbid"
    )


class FilterBody(Wire):
    """Which products may be found. `owner` is for those who may see every owner's."""

    category: Text | None = None
    options: dict[Text, Text] = Field(default_factory=dict, max_length=20)
    min_price: Price | None = None
    max_price: Price | None = None
    skus: list[Text] = Field(default_factory=list, max_length=1000)
    updated_since: AwareDatetime | None = None
    owner: Text | None = None


class WeightBody(Wire):
    """How much image and text count; only their ratio matters."""

    image: Share
    text: Share

    @model_validator(mode="after")
    def _some_weight(self) -> "WeightBody":
        if self.image == 0 and self.text == 0:
            raise ValueError("image and text are both 0")
        return self


class OptionsBody(Wire):
    """How to answer."""

    limit: int = Field(10, ge=1, le=MAX_LIMIT)
    threshold: float | None = Field(None, ge=-1, le=1, allow_inf_nan=False)
    filters: FilterBody = Field(default_factory=FilterBody)
    group_by: GroupBy = "variant"
    weights: WeightBody | None = None

    def options(self, owner: str | None) -> ScanOptions:
        """The same for a scan among the products of `owner`; None is everyone's."""
        asked, shares = self.filters, self.weights
        return ScanOptions(
            limit=self.limit,
            threshold=self.threshold,
            group_by=self.group_by,
            weights=None if shares is None else Weights(image=shares.image, text=shares.text),
            filters=Filters(
                owner=owner,
                category=asked.category,
                options=tuple(asked.options.items()),
                min_price=asked.min_price,
                max_price=asked.max_price,
                skus=tuple(asked.skus),
                updated_since=asked.updated_since,
            ),
        )


class ImageBody(Wire):
    """A photo: an address to fetch it from, or the file itself in base64 or as a data URI."""

    url: str | None = None
    base64: str | None = None

    @model_validator(mode="after")
    def _one(self) -> "ImageBody":
        if (self.url is None) == (self.base64 is None):
            raise ValueError("give either url or base64")
        return self


class ScanBody(OptionsBody):
    """A photo (`imageUrl` or `imageBase64`) or several (`images`), words, or both.

    With `combineImages` all photos show one thing, else each is a question of its own.
    """

    image_url: str | None = None
    image_base64: str | None = None
    images: list[ImageBody] | None = Field(None, min_length=1, max_length=MAX_PHOTOS)
    text_query: Words | None = None
    combine_images: bool = False


class FeedbackBody(Wire):
    """Whether a match was `right` or `wrong`, or that `none` of a scan's matches was right."""

    scan_id: Text
    verdict: Literal["right", "wrong", "none"]
    product_variant_id: Text | None = None

    @model_validator(mode="after")
    def _about(self) -> "FeedbackBody":
        if (self.verdict == "none") != (self.product_variant_id is None):
            raise ValueError("give productVariantId with right and wrong, and not with none")
        return self
