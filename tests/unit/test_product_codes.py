"""A code finds its product however the shop has stored it, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.scan.product_codes import is_gtin, spellings


def gtin(body: str) -> str:
    """The digits with their check digit, by the rule for an EAN-13: weights 1, 3 from the left."""
    padded = body.zfill(13)
    odd, even = (sum(map(int, padded[start::2])) for start in (0, 1))
    return body + str((10 - (3 * odd + even) % 10) % 10)


BODIES = st.from_regex("[1-9][0-9]{6,12}", fullmatch=True)
LENGTHS = st.sampled_from([8, 12, 13, 14])


@given(BODIES, LENGTHS, LENGTHS)
def test_a_gtin_is_found_with_any_number_of_leading_zeros(
    body: str, read: int, stored: int
) -> None:
    code = gtin(body)
    assert code.zfill(stored) in {*spellings(code.zfill(read)), *spellings(code)}
    assert code in spellings(code.zfill(read))


@given(BODIES, st.integers(0, 12), st.integers(1, 9))
def test_a_digit_that_was_read_wrong_makes_no_gtin(body: str, place: int, more: int) -> None:
    code = gtin(body)
    place %= len(code)
    wrong = code[:place] + str((int(code[place]) + more) % 10) + code[place + 1 :]
    assert is_gtin(code)
    assert wrong.startswith("0") or not is_gtin(wrong)


@given(st.text(max_size=30))
def test_any_other_code_is_found_in_its_own_letters_only(code: str) -> None:
    code = code.strip()
    found = spellings(code)
    assert code in found
    if not is_gtin(code) and "01" not in code:
        assert {text.casefold() for text in found} <= {
            text.casefold() for text in (code, code.upper(), code.lower())
        }


@pytest.mark.parametrize(
    ("code", "stored"),
    [
        ("036000291452", "36000291452"),
        ("0036000291452", "036000291452"),
        ("(01)09506000134352(17)141120(10)ABC123", "9506000134352"),
        ("https://id.gs1.org/01/09506000134352/10/ABC?17=141120", "09506000134352"),
        ("tea-1", "TEA-1"),
    ],
)
def test_the_forms_in_which_codes_are_read_and_stored(code: str, stored: str) -> None:
    assert stored in spellings(code)


@pytest.mark.parametrize(
    "code", ["12345671", "0000000", "00017", "4006381333932", "７６１２３４５６"]
)
def test_numbers_that_are_no_gtin_are_taken_as_they_are(code: str) -> None:
    assert spellings(code) == (code,)
