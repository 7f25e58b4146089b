from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.catalog.imports.price import read_price

PRICES = st.decimals(0, 99_999_999, places=2)


@pytest.mark.parametrize(
    ("text", "price"),
    [
        *(("12,50", "12.50"), ("1.299,00", "1299"), ("$12.50", "12.50"), ("15.00 USD", "15")),
        *(("1,299.00", "1299"), ("1,299", "1299"), ("1 299,00 kr", "1299"), ("€ 12,-", "12")),
        *(("1'299.00", "1299"), ("1\u00a0299,00\u00a0€", "1299"), ("Rs. 1,00,000.00", "100000")),
        *(("25.000000", "25"), ("1.299", "1.299"), ("0", "0"), ("12,5", "12.5"), ("US$ 3", "3")),
    ],
)
def test_prices_are_read_as_people_write_them(text: str, price: str) -> None:
    assert read_price(text) == Decimal(price)


@pytest.mark.parametrize(
    "text",
    [
        *("cheap", "free", "nan", "-1", "- 5", "€-5", "-€5", "\u22125", "1e3", "4.00638E+12"),
        *("9" * 50, "19.00 - 25.00", "2 for 5", "1,5,0", "2026-11-30", "#REF!", "."),
    ],
)
def test_what_is_not_one_price_is_none(text: str) -> None:
    assert read_price(text) is None


@given(
    price=PRICES,
    before=st.sampled_from(["", "$", "€ ", "EUR ", "kr "]),
    after=st.sampled_from(["", " €", " USD", "\u00a0kr", "€"]),
    signs=st.sampled_from([("", "."), ("", ","), (",", "."), (".", ","), (" ", ",")]),
)
def test_a_written_price_is_read_back(
    price: Decimal, before: str, after: str, signs: tuple[str, str]
) -> None:
    group, decimal = signs
    text = f"{price:,.2f}".replace(",", "G").replace(".", decimal).replace("G", group)
    assert read_price(f"{before}{text}{after}") == price
