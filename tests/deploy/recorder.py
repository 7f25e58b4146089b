"""A stand-in for Modal's server: it records every call, and builds and runs nothing."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from google.protobuf.message import Message
from grpclib.const import Handler
from grpclib.server import Server, Stream
from modal_proto import api_pb2
from modal_proto.api_grpc import ModalClientBase

Reply = Callable[[Any, str], dict[str, Any]]
"""Makes the fields of a reply from the request and a new id."""

WEB_URL = "https://recorded.modal.run"

_BUILT = api_pb2.GenericResult(status=api_pb2.GenericResult.GENERIC_STATUS_SUCCESS)

_REPLIES: dict[str, Reply] = {
    "AppCreate": lambda _, new: {"app_id": f"ap-{new}"},
    "AppPublish": lambda _, __: {"url": "https://modal.com/apps/recorded"},
    "ClassCreate": lambda _, new: {"class_id": f"cs-{new}"},
    "EnvironmentGetOrCreate": lambda _, new: {
        "environment_id": f"en-{new}",
        "metadata": {"name": "main", "settings": {"image_builder_version": "2025.06"}},
    },
    "FunctionCreate": lambda request, _: {
        "function_id": request.existing_function_id,
        "function_data": {"ranked_functions": [{"function": request.function}]},
        "handle_metadata": {
            "function_name": request.function.function_name,
            "method_handle_metadata": {
                name: {"function_name": method.function_name, "web_url": WEB_URL}
                for name, method in request.function.method_definitions.items()
            },
        },
    },
    "FunctionPrecreate": lambda _, new: {"function_id": f"fu-{new}"},
    "ImageGetOrCreate": lambda _, new: {"image_id": f"im-{new}", "result": _BUILT},
    "MountGetOrCreate": lambda _, new: {"mount_id": f"mo-{new}"},
    "SecretGetOrCreate": lambda _, new: {"secret_id": f"st-{new}"},
    "VolumeGetOrCreate": lambda _, new: {"volume_id": f"vo-{new}"},
}


class Recorder:
    """Records every call to Modal's service by its name, and replies to it."""

    def __init__(self) -> None:
        self.calls: dict[str, list[Any]] = {}
        self._ids = count(1)

    def __mapping__(self) -> dict[str, Handler]:
        return {
            path: handler._replace(func=self._record(path.rpartition("/")[2], handler.reply_type))
            for path, handler in ModalClientBase.__mapping__(ModalClientBase).items()
        }

    def _record(self, name: str, reply: type[Message]) -> Callable[[Any], Awaitable[None]]:
        async def record(stream: Stream[Any, Any]) -> None:
            request = await stream.recv_message()
            self.calls.setdefault(name, []).append(request)
            make_reply = _REPLIES.get(name, lambda _, __: {})
            await stream.send_message(reply(**make_reply(request, str(next(self._ids)))))

        return record


@asynccontextmanager
async def recording(port: int) -> AsyncIterator[Recorder]:
    """Run a recorder on a port of this machine."""
    recorder = Recorder()
    server = Server([recorder])
    await server.start("127.0.0.1", port)
    try:
        yield recorder
    finally:
        server.close()
        await server.wait_closed()
