"""The addresses that responses have: of a product's picture, and of its page in the shop."""

from dataclasses import dataclass
from urllib.parse import quote

from shelfsight.images.location import location
from shelfsight.scan.matching import Candidate


@dataclass(frozen=True, slots=True)
class AddressFormat:
    """How addresses are made.

    Relative addresses of pictures follow `image_base_url`. `product_url` is the address of a
    product's page, with `{id}`, `{productId}` or `{sku}` in the places of the product's own.
    """

    image_base_url: str | None = None
    product_url: str | None = None

    def image(self, address: str | None) -> str | None:
        """Return the whole address of a picture."""
        return None if address is None else location(address, self.image_base_url)

    def page(self, product: Candidate) -> str | None:
        """Return the address of a product's page; None if it is unknown, or a part is missing."""
        if self.product_url is None:
            return None
        address = self.product_url
        parts = {"id": product.id, "productId": product.product_id, "sku": product.sku}
        for name, value in parts.items():
            if f"{{{name}}}" not in self.product_url:
                continue
            if not value:
                return None
            address = address.replace(f"{{{name}}}", quote(value, safe=""))
        return address
