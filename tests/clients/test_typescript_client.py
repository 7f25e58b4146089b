"""The client for TypeScript is built from the server's document, and gets the answers of it."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.scan_server import in_png, two_things
from tests.shop import picture

SOURCE = Path(__file__).parents[2] / "clients" / "typescript"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package, with the installed dependencies of the original."""
    copy = tmp_path_factory.mktemp("typescript") / "package"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("node_modules", "dist"))
    (copy / "node_modules").symlink_to(SOURCE / "node_modules")
    return copy


def npm(package: Path, *arguments: str, **environment: str) -> str:
    ended = subprocess.run(
        ["npm", *arguments],
        cwd=package,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, (ended.stdout + ended.stderr)[-4000:]
    return ended.stdout


def test_its_types_are_those_of_the_server(package: Path, site: str) -> None:
    """If not: `SHELFSIGHT_URL=... npm run generate`, in `clients/typescript`."""
    committed = (package / "src" / "schema.ts").read_text()
    npm(package, "run", "generate", SHELFSIGHT_URL=site)
    assert (package / "src" / "schema.ts").read_text() == committed


def test_it_is_built_and_scans(package: Path, site: str, tmp_path: Path) -> None:
    npm(package, "run", "build")
    for number in (2, 3):
        (tmp_path / f"{number}.png").write_bytes(in_png(picture(number)))
    (tmp_path / "table.png").write_bytes(in_png(two_things()))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    done = npm(package, "test", SHELFSIGHT_URL=site, PHOTOS=str(tmp_path))
    assert "fail 0" in done


def test_its_package_has_what_is_imported(package: Path) -> None:
    (packed,) = json.loads(npm(package, "pack", "--dry-run", "--json"))
    names = {file["path"] for file in packed["files"]}
    assert {"dist/index.js", "dist/index.d.ts", "dist/schema.d.ts", "README.md"} <= names
