"""The vectors that the official client for Node gets are those of the model."""

from tests.clients.comparison import HERE, PACKAGES, TEXT, answer_of, assert_right


def test_the_client_for_node_gets_the_vectors_of_the_model(url: str) -> None:
    assert_right(answer_of("node", str(HERE / "node" / "client.mjs"), str(PACKAGES), url, TEXT))
