"""The addresses that responses have: of a product's picture, and of its page in the shop."""

from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from shelfsight.images.location import location
from shelfsight.scan.matching import Candidate


@dataclass(frozen=True, slots=True)
class AddressFormat:
    """How addresses are made.

    Relative addresses of pictures follow `image_base_url`. `product_url` is the address of a
    product's page, with `{id}`, `{productId}`, `{sku}` or `{handle}` in the places of the
    product's own.
    """

    image_base_url: str | None = None
    product_url: str | None = None

    def image(self, address: str | None) -> str | None:
        """Return the whole address of a picture."""
        return None if address is None else location(address, self.image_base_url)

    def page(self, product: Candidate) -> str | None:
        """Return the address of a product's page; None if it is not known.

        It is made by `product_url`. If that is not set, or asks for something that the product
        lacks, it is the product's own link, if that is an address.
        """
        own = product.link if is_web_address(product.link) else None
        if self.product_url is None:
            return own
        parts = {
            "id": quote(product.id, safe=""),
            "productId": quote(product.product_id or "", safe=""),
            "sku": quote(product.sku or "", safe=""),
            # a handle may be a path, as /sale/blue-shirt/
            "handle": quote((product.link or "").lstrip("/")) if own is None else "",
        }
        address = self.product_url
        for name, value in parts.items():
            if f"{{{name}}}" in self.product_url and not value:
                return own
            address = address.replace(f"{{{name}}}", value)
        return address


def is_web_address(link: str | None) -> bool:
    """Return whether a product's link is a whole address that a browser may open."""
    try:
        parts = urlsplit(link or "")
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc)
