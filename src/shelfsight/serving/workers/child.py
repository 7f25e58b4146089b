"""The main program of a worker process; its parent is `supervisor`."""

import pickle
import socket
import sys

from shelfsight.errors import ShelfsightError
from shelfsight.serving.workers.link import WorkerLink


def main() -> int:
    """Serve the parent's socket until the parent says to stop; return the exit status.

    The arguments are the worker's number and the descriptors of four sockets. The function that
    serves comes over stdin.
    """
    number, *descriptors = map(int, sys.argv[1:])
    bound, state, scrape, asked = (socket.socket(fileno=one) for one in descriptors)
    link = WorkerLink(number, state=state, scrape=scrape, asked=asked)
    serve = pickle.load(sys.stdin.buffer)  # noqa: S301  # the parent has written it
    try:
        serve(bound, link)
    except ShelfsightError as error:
        link.tell_failure(str(error))
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
