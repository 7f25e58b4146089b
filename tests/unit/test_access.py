"""Access to the embedding server: its key, and the addresses it may listen on."""

import pytest

from shelfsight.errors import SettingsError
from shelfsight.serving.access import ServerKey, check_host


@pytest.mark.parametrize(
    ("sent", "opens"),
    [
        ("Bearer secret", True),
        ("bearer  secret ", True),
        ("Bearer secre", False),
        ("Basic secret", False),
        ("secret", False),
        ("Bearer ", False),
        ("", False),
        ("Bearer \udcff", False),
    ],
)
def test_only_the_key_opens(sent: str, opens: bool) -> None:
    key = ServerKey("secret")
    assert key.matches(sent) is opens
    assert "secret" not in repr(vars(key))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_this_machine_may_be_served_without_a_key(host: str) -> None:
    check_host(host, has_key=False, insecure=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", ""])
def test_other_machines_are_served_with_a_key_or_when_told_so(host: str) -> None:
    check_host(host, has_key=True, insecure=False)
    check_host(host, has_key=False, insecure=True)
    with pytest.raises(SettingsError, match="EMBEDDING_SERVER_API_KEY"):
        check_host(host, has_key=False, insecure=False)
