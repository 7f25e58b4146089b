"""Each fuzzer for a moment, and all that they ever found; `make fuzz` runs them for longer."""

from typing import Any

import pytest
from hypothesis import given, settings

from tests.fuzz.targets import TARGETS, Target

EXAMPLES = 100


@pytest.fixture(params=list(TARGETS.values()), ids=lambda target: target.name)
def target(request: pytest.FixtureRequest) -> Target:
    return request.param


def test_an_input_of_a_stranger_is_read_or_refused(target: Target) -> None:
    with target.checker() as check:

        @settings(max_examples=EXAMPLES)
        @given(case=target.inputs)
        def try_it(case: Any) -> None:
            check(case)

        try_it()


def test_what_was_found_stays_mended(target: Target) -> None:
    with target.checker() as check:
        for finding in target.findings():
            check(finding)
