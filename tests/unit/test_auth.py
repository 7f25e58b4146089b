"""Which products a caller sees, and which sites may send requests."""

import pytest

from shelfsight.errors import SettingsError
from shelfsight.serving.refusals import ForbiddenError
from shelfsight.serving.scan_api.auth import Caller
from shelfsight.settings import load


def test_an_owner_sees_their_own_products_and_an_admin_those_asked_for() -> None:
    ann, admin = Caller(owner="ann", id="1"), Caller(id="2")
    assert (ann.owner_to_search(None), ann.owner_to_search("ann")) == ("ann", "ann")
    assert (admin.owner_to_search(None), admin.owner_to_search("bob")) == (None, "bob")
    for other in ("bob", "", "ANN"):
        with pytest.raises(ForbiddenError):
            ann.owner_to_search(other)


def test_sites_are_read_from_one_setting_and_a_star_is_none() -> None:
    sites = load({"cors_origins": " https://A.example, http://b.example:8000 ,"}).origins
    assert sites == ("https://a.example", "http://b.example:8000")
    for odd in ("*", "a.example", "https://a.example/", "https://user@a.example"):
        with pytest.raises(SettingsError, match="CORS_ORIGINS"):
            load({"cors_origins": odd})


def test_trusted_proxies_are_addresses_or_networks() -> None:
    proxies = load({"trusted_proxies": " 10.0.0.1, 192.168.0.0/16, ::1"}).proxies
    assert proxies == ("10.0.0.1", "192.168.0.0/16", "::1")
    for odd in ("proxy.example", "10.0.0.0/99", "*"):
        with pytest.raises(SettingsError, match="TRUSTED_PROXIES"):
            load({"trusted_proxies": odd})
