"""What a siege attacks: `serve` and `serve-models` over a shop, each in its own process."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from urllib.request import urlopen

from shelfsight.postgres.connection import Database
from shelfsight.storage.api_keys import ApiKeys
from tests.end_to_end.command import PATIENCE, Command
from tests.end_to_end.picture_host import PictureHost, picture_host
from tests.end_to_end.shop_tables import add_product, create_tables, run
from tests.end_to_end.stoppable_postgres import StoppablePostgres, stoppable_postgres
from tests.integration.name_server import NameServer
from tests.open_folder import open_folder

PRODUCTS = 30
MEMORY = 2_000_000_000
"""Bytes that `serve` may take with its decoders."""

SILENT_HOSTS = 40
SILENT_NAME = "silent.example.com"
"""Names that end like this get no answer from the name server."""


@dataclass(frozen=True, kw_only=True)
class Besieged:
    """Two servers and what they use. `log` has what both have written.

    The attackers have the key `greedy`; `modest` is that of the well-behaved caller.
    """

    scans: subprocess.Popen[str]
    models: subprocess.Popen[str]
    scans_url: str
    models_url: str
    greedy: str
    modest: str
    postgres: StoppablePostgres
    pictures: PictureHost
    silent_hosts: tuple[str, ...]
    log: Path

    def complaints(self) -> list[str]:
        """Return what shows a bug: a server that has ended, or a traceback."""
        found = [
            f"{name} has ended with {process.returncode}"
            for name, process in (("serve", self.scans), ("serve-models", self.models))
            if process.poll() is not None
        ]
        lines = self.log.read_text(errors="replace").splitlines()
        starts = [at for at, line in enumerate(lines) if line.startswith("Traceback")]
        return found + ["\n".join(lines[max(0, at - 1) : at + 40]) for at in starts[:5]]

    def end(self) -> list[str]:
        """Send both SIGTERM once they are idle; return what they should not have done.

        With requests in progress, status 1 at the end of the grace time would be right as well.
        """
        self._wait_until_idle()
        wrong = []
        for name, process in (("serve", self.scans), ("serve-models", self.models)):
            process.send_signal(signal.SIGTERM)
            if (status := process.wait(PATIENCE)) != 0:
                last = self.log.read_text(errors="replace").splitlines()[-3:]
                wrong.append(f"{name} has ended with {status} after SIGTERM: {last}")
        return wrong

    def _wait_until_idle(self) -> None:
        """Wait until serve-models has done what attackers who have gone had sent."""
        deadline = monotonic() + PATIENCE
        while monotonic() < deadline:
            with urlopen(f"{self.models_url}/metrics") as answer:
                told = answer.read().decode()
            at_work = re.findall(rf"^{_AT_WORK} (.*)$", told, re.MULTILINE)
            assert len(at_work) == 5
            if not any(map(float, at_work)):
                return
            sleep(0.2)
        raise AssertionError(f"serve-models is still at work: {at_work}")


_AT_WORK = (
    r"shelfsight_(?:queue_depth{.*}"
    r'|store_items{store="waiting_(?:pictures|texts)"}|store_bytes{store="bodies"})'
)
"""The metrics that are 0 when no request is in progress."""


@contextmanager
def besieged() -> Iterator[Besieged]:
    """Prepare a shop with vectors, and start both servers."""
    with ExitStack() as stack:
        folder = stack.enter_context(open_folder())
        postgres = stack.enter_context(stoppable_postgres(folder / "home"))
        pictures = stack.enter_context(picture_host())
        names = stack.enter_context(NameServer(_answer))
        silent = stack.enter_context(_silent_hosts())
        shop = Command(
            folder,
            DATABASE_URL=postgres.url,
            MODELS="lite",
            ALLOW_PRIVATE_IMAGES=",".join([pictures.host, *silent]),
            MEMORY=str(MEMORY),
            RATE_LIMIT="0",
            BYTE_LIMIT="0",
        )
        greedy, modest = _prepare(shop, postgres.url, pictures)
        log = folder / "servers.log"
        started = [
            stack.enter_context(_started(shop, names.address, log, name))
            for name in ("serve", "serve-models")
        ]
        (scans, scans_url), (models, models_url) = started
        yield Besieged(
            scans=scans,
            models=models,
            scans_url=scans_url,
            models_url=models_url,
            greedy=greedy,
            modest=modest,
            postgres=postgres,
            pictures=pictures,
            silent_hosts=silent,
            log=log,
        )


def _prepare(shop: Command, url: str, pictures: PictureHost) -> tuple[str, str]:
    """Fill the shop, embed it, and make two keys."""
    create_tables(url)
    for number, picture in enumerate(pictures.draw(*range(1, PRODUCTS + 1)), start=1):
        id_ = add_product(url, f"Product {number}", picture)
        run(url, 'UPDATE "ProductVariants" SET "Sku" = %s WHERE "Id" = %s', [f"sku-{number}", id_])
    assert shop("backfill", "--all").returncode == 0
    with closing(Database(url)) as database:
        greedy, modest = (ApiKeys(database).create(owner=None, name="")[1] for _ in range(2))
    return greedy, modest


@contextmanager
def _started(
    shop: Command, names: str, log: Path, name: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "tests.siege.limited_command", names]
    with (
        log.open("a") as errors,
        subprocess.Popen(
            [*command, name, "--port", "0"],
            env=shop.environment() | {"PYTHONPATH": str(Path(__file__).parents[2])},
            cwd=shop.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        try:
            said = []
            for line in process.stdout or ():
                said.append(line)
                if line.startswith("serving "):
                    yield process, line.split(" at ")[1].split(";")[0]
                    return
            raise AssertionError("".join(said) + log.read_text())
        finally:
            process.kill()


@contextmanager
def _silent_hosts() -> Iterator[tuple[str, ...]]:
    """Listen at many addresses and never answer; yield each as `host:port`."""
    with ExitStack() as stack:
        hosts = []
        for last in range(1, SILENT_HOSTS + 1):
            listener = stack.enter_context(closing(socket.create_server((f"127.0.9.{last}", 0))))
            hosts.append("{}:{}".format(*listener.getsockname()))
        yield tuple(hosts)


def _answer(name: str, _turn: int) -> list[str] | None:
    return None if name.endswith(SILENT_NAME) else []
