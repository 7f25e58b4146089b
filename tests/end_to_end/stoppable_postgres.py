"""A Postgres of a test's own that can be stopped, killed and started, and a network that fails."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from shelfsight.embedded_postgres.instance import EmbeddedPostgres


class StoppablePostgres:
    """A server whose processes are sent signals."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._server = EmbeddedPostgres(home)
        self.url = self._server.start()

    def freeze(self) -> None:
        """Stop all processes: the server takes connections and answers nothing."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._send(signal.SIGCONT)

    def kill(self) -> None:
        self._send(signal.SIGKILL)

    def start(self) -> None:
        assert self._server.start() == self.url

    def close(self) -> None:
        self.thaw()
        self._server.stop()

    def _send(self, number: signal.Signals) -> None:
        pid = int((self._home / "postgres/postmaster.pid").read_text().split()[0])
        with suppress(ProcessLookupError):
            children = Path(f"/proc/{pid}/task/{pid}/children")
            names = children.read_text().split() if children.exists() else []
            for process in (pid, *map(int, names)):
                with suppress(ProcessLookupError):
                    os.kill(process, number)


class Network:
    """Forwards connections to a server's socket until it is cut; then it swallows all bytes."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._open = threading.Event()
        self._open.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets = [self._listener]
        self._threads: list[threading.Thread] = []
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)

    def cut(self) -> None:
        self._open.clear()

    def mend(self) -> None:
        self._open.set()

    def close(self) -> None:
        self._open.set()
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(60)
        for one in self._sockets:
            one.close()

    def _start(self, work: Callable[..., None], *args: socket.socket) -> None:
        self._threads.append(threading.Thread(target=work, args=args, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                self._sockets += [client, server]
                server.connect(self._target)
                self._start(self._forward, client, server)
                self._start(self._forward, server, client)

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._open.wait()
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@contextmanager
def stoppable_postgres(home: Path) -> Iterator[StoppablePostgres]:
    with closing(StoppablePostgres(home)) as postgres:
        yield postgres
