"""The vectors that clients in Python get are those of the model; refusals reach them, too."""

import pytest

from tests.clients.comparison import HERE, PACKAGES, TEXT, answer_of, assert_right
from tests.clients.python_clients import CLIENTS


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_in_python_gets_the_vectors_of_the_model(url: str, client: str) -> None:
    program = str(HERE / "python_clients.py")
    assert_right(answer_of(str(PACKAGES / "bin" / "python"), program, client, url, TEXT))
