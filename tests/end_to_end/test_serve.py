"""`shelfsight serve` and `shelfsight keys`: the real commands, queried over HTTP."""

import base64
import signal
from concurrent.futures import ThreadPoolExecutor, wait
from time import monotonic

import pytest

from tests.end_to_end.command import PATIENCE, Command, address_of, failed_plainly
from tests.end_to_end.conftest import command
from tests.end_to_end.picture_host import PictureHost, draw, png
from tests.end_to_end.shop_tables import add_product, create_tables, run
from tests.integration.scan_server import problem, scan, scan_form, skus
from tests.siege.attacks_pictures import jpeg_of_hidden_scans

PRODUCTS = 6


@pytest.fixture(scope="module")
def embedded(
    module_url: str, tmp_path_factory: pytest.TempPathFactory, pictures: PictureHost
) -> Command:
    """The command, with a shop whose products are embedded by the lite models."""
    create_tables(module_url)
    shelfsight = command(
        module_url, tmp_path_factory.mktemp("serve"), ALLOW_PRIVATE_IMAGES=pictures.host
    )
    for number, picture in enumerate(pictures.draw(*range(1, PRODUCTS + 1)), start=1):
        id_ = add_product(module_url, f"Product {number}", picture)
        values = [f"sku-{number}", id_]
        run(module_url, 'UPDATE "ProductVariants" SET "Sku" = %s WHERE "Id" = %s', values)
    assert shelfsight("backfill", "--all").returncode == 0
    return shelfsight


@pytest.fixture
def shop(embedded: Command, copied_url: str, pictures: PictureHost) -> Command:
    """The same for each test, without any key."""
    return command(copied_url, embedded.folder, ALLOW_PRIVATE_IMAGES=pictures.host)


def test_a_photo_finds_its_product_and_ctrl_c_ends_it_well(
    shop: Command, pictures: PictureHost
) -> None:
    with shop.started("serve", "--port", "0") as process:
        output, url = address_of(process)
        assert "whoever is on this machine may ask" in output
        assert skus(scan(url, imageUrl=pictures.draw(3)[0], limit=1)) == ["sku-3"]
        assert skus(scan_form(url, [png(draw(5))], limit="1")) == ["sku-5"]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, out, err) == (0, "", "")


def test_a_second_server_on_the_same_port_says_so_and_ends(shop: Command) -> None:
    with shop.started("serve", "--port", "0") as process:
        _, url = address_of(process)
        second = shop("serve", "--port", url.rpartition(":")[2])
        assert "cannot be listened on" in failed_plainly(second, 1)
        assert skus(scan(url, textQuery="sku-1", limit=1)) == ["sku-1"]


def test_keys_are_shown_once_and_stop_working_as_soon_as_they_are_revoked(shop: Command) -> None:
    assert "There is no key" in shop("keys", "list").stdout
    made = shop("keys", "create", "--owner", "nobody", "--name", "the phone in the shop")
    secret = made.stdout.strip()
    _, id_, hidden = secret.split("_", 2)
    assert f"Key {id_} of nobody" in made.stderr
    listed = shop("keys", "list").stdout
    assert id_ in listed
    assert "the phone in the shop" in listed
    assert hidden not in listed
    admin = shop("keys", "create", "--admin").stdout.strip()
    with shop.started("serve", "--host", "0.0.0.0", "--port", "0") as process:
        output, url = address_of(process)
        url = url.replace("0.0.0.0", "127.0.0.1")
        assert "every request needs an API key" in output
        assert problem(scan(url, textQuery="sku-1")) == (401, "key_missing")
        assert skus(scan(url, textQuery="sku-1", key=secret)) == []
        assert skus(scan(url, textQuery="sku-1", limit=1, key=admin)) == ["sku-1"]
        assert shop("keys", "revoke", id_).returncode == 0
        assert problem(scan(url, textQuery="sku-1", key=secret)) == (401, "key_refused")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, out, err) == (0, "", "")
    assert shop("keys", "revoke", "nothing").returncode == 2


def test_hostile_pictures_do_not_keep_a_server_from_its_end(shop: Command) -> None:
    hostile = base64.b64encode(jpeg_of_hidden_scans()).decode()
    with shop.started("serve", "--port", "0", "--scan-timeout", "10") as process:
        _, url = address_of(process)
        with ThreadPoolExecutor(8) as callers:
            uploads = [callers.submit(scan, url, imageBase64=hostile) for _ in range(8)]
            assert skus(scan(url, textQuery="sku-1", limit=1)) == ["sku-1"]
            process.send_signal(signal.SIGTERM)
            began = monotonic()
            assert process.wait(PATIENCE) == 0
            assert monotonic() - began < 30
            wait(uploads)


@pytest.mark.parametrize("arguments", [[], ["--owner", "a", "--admin"], ["--owner", ""]])
def test_a_key_is_either_an_owners_or_an_admins(shop: Command, arguments: list[str]) -> None:
    done = shop("keys", "create", *arguments)
    assert done.returncode == 2
    assert "either --owner ID or --admin" in done.stderr


def test_without_a_key_it_does_not_listen_beyond_this_machine(shelfsight: Command) -> None:
    assert shelfsight("init").returncode == 0
    error = failed_plainly(shelfsight("serve", "--host", "0.0.0.0", "--port", "0"), 2)
    assert "shelfsight keys create" in error
    with shelfsight.started("serve", "--host", "0.0.0.0", "--port", "0", "--insecure") as process:
        output, _ = address_of(process)
        assert "INSECURE" in output


def test_a_database_without_init_is_refused_at_startup(shelfsight: Command) -> None:
    assert "shelfsight init" in failed_plainly(shelfsight("serve", "--port", "0"), 1)
    assert "shelfsight init" in failed_plainly(shelfsight("keys", "list"), 1)


def test_a_memory_that_cannot_hold_the_models_is_refused_with_the_least_that_can(
    shop: Command,
) -> None:
    error = failed_plainly(shop("serve", "--port", "0", "--memory", "300MB"), 2)
    assert "MEMORY=300 MB is too little" in error
    least = error.split(", so ")[1].split(" is the least")[0]
    with shop.started(
        "serve", "--port", "0", "--memory", f"{int(least[:-3].replace(',', '')) + 200}MB"
    ) as process:
        output, url = address_of(process)
        assert "MB for the models and the server" in output
        assert skus(scan(url, textQuery="sku-1", limit=1)) == ["sku-1"]


def test_invalid_cors_origins_are_refused(shelfsight: Command) -> None:
    for sites in ("*", "shop.example", "https://shop.example/path"):
        error = failed_plainly(shelfsight("serve", "--cors-origins", sites), 2)
        assert "CORS_ORIGINS" in error
