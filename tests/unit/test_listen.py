"""Two servers at one address: the second is told so, however close they start."""

import multiprocessing
import socket
from contextlib import closing
from multiprocessing.synchronize import Barrier

import pytest

from shelfsight.errors import ServerError
from shelfsight.serving.listen import bind


def test_an_address_in_use_is_refused_before_the_first_server_is_ready() -> None:
    with closing(bind("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        for host in ("127.0.0.1", "0.0.0.0"):
            with pytest.raises(ServerError, match="cannot be listened on"):
                bind(host, port)


def test_an_address_is_free_again_as_soon_as_its_server_is_gone() -> None:
    with closing(bind("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            first.accept()[0].close()  # leaves the address in TIME_WAIT
    bind("127.0.0.1", port).close()


def test_of_servers_that_start_at_the_same_moment_one_listens() -> None:
    context = multiprocessing.get_context("spawn")
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    count = 4
    start, done = context.Barrier(count), context.Barrier(count)
    results = context.Queue()
    processes = [
        context.Process(target=_bind_at_once, args=(port, start, done, results))
        for _ in range(count)
    ]
    for process in processes:
        process.start()
    outcomes = sorted(results.get(timeout=60) for _ in processes)
    for process in processes:
        process.join(60)
    assert outcomes == ["listens", *["refused"] * (count - 1)]


def _bind_at_once(
    port: int, start: Barrier, done: Barrier, results: "multiprocessing.Queue[str]"
) -> None:
    start.wait(60)
    try:
        bound = bind("127.0.0.1", port)
    except ServerError:
        results.put("refused")
        done.wait(60)
        return
    results.put("listens")
    done.wait(60)
    bound.close()
