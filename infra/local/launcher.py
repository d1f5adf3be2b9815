# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportMissingParameterType=false, reportUnknownParameterType=false, reportUnknownArgumentType=false
# The engine and its server are installed in the engine's own environment, where no type checker runs.
"""Runs the engine in the foreground, inside the engine's own environment; of this repository it imports nothing.

SIGTERM and SIGINT end it with its state saved; SIGUSR1 saves the state and goes on.
"""

import asyncio
import json
import os
import re
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path

_CALLS_PATH = "/_ainexus/calls"
_DISCARDED = ".discarded"


def empty_stream_positions(state: Path) -> None:
    """Forget how far the streams were read.

    The engine saves the positions but not the records. After a restart the records count from the start again,
    and a reader that waits for its old position would hear nothing.
    """
    path = state / "lambda.json"
    if not path.exists():
        return
    saved = json.loads(path.read_text())
    positions = saved.get("payload", saved).get("dynamodb_stream_positions")
    if positions and positions.get("data"):
        positions["data"] = {}
        fresh = path.with_suffix(".fresh")
        fresh.write_text(json.dumps(saved))
        fresh.replace(path)


def move_queues(state: Path, port: int) -> None:
    """Give the queues the address at which the engine is to listen.

    The engine saves them by their URL, and so do functions and stacks that name one. On another port than before it
    would look for them in vain, and nobody would hear of an event.
    """
    saved = re.compile(rb"(http://localhost:)\d+(/\d{12}/)")
    for path in (state / name for name in ("cloudformation.json", "lambda.json", "sqs.json")):
        said = path.read_bytes() if path.exists() else b""
        moved = saved.sub(rb"\g<1>%d\g<2>" % port, said)
        if moved != said:
            fresh = path.with_suffix(".fresh")
            fresh.write_bytes(moved)
            fresh.replace(path)


def empty(folder: Path) -> threading.Thread:
    """Create an empty folder in place of this one, whose contents are deleted in the background.

    The unpacked functions of an earlier engine are tens of thousands of files, and to delete them takes up to a minute.

    Returns:
        The thread that deletes; it also deletes leftovers of earlier ones that were interrupted.
    """
    if folder.exists():
        folder.rename(folder.with_name(f"{folder.name}.{time.time_ns()}{_DISCARDED}"))
    folder.mkdir(parents=True)
    thread = threading.Thread(target=_delete_discarded, args=(folder.parent,), daemon=True)
    thread.start()
    return thread


def _delete_discarded(parent: Path) -> None:
    for folder in parent.glob(f"*{_DISCARDED}"):
        shutil.rmtree(folder, ignore_errors=True)


class Counted:
    """The engine's application, with a count of the AWS calls that come to it over HTTP; measurements read it."""

    def __init__(self, app) -> None:  # noqa: ANN001 — an application of the engine's, where no type checker runs
        self._app = app
        self._calls: Counter[str] = Counter()

    async def __call__(self, scope, receive, send) -> None:  # noqa: ANN001 — as ASGI has it
        """Answer one request."""
        if scope["type"] == "http":
            if scope["path"] == _CALLS_PATH:
                await self._tell(send)
                return
            self._count(dict(scope["headers"]))
        await self._app(scope, receive, send)

    def _count(self, headers: dict[bytes, bytes]) -> None:
        signed = headers.get(b"authorization", b"").decode()
        if not signed.startswith("AWS4-HMAC-SHA256"):
            return
        service = signed.partition("Credential=")[2].split("/")[3]
        operation = headers.get(b"x-amz-target", b"").decode().rpartition(".")[2]
        self._calls[f"{service} {operation}".strip()] += 1

    async def _tell(self, send) -> None:  # noqa: ANN001 — as ASGI has it
        body = json.dumps(self._calls).encode()
        head = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})


def hold_to_the_pool(cognito) -> None:  # noqa: ANN001 — the engine's module of Cognito
    """Let the engine refuse what Cognito refuses by the settings of a pool, of its client and of a user.

    https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_SignUp.html,
    https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-settings-attributes.html (permissions),
    https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_AdminDisableUser.html
    """
    run = cognito._run_idp_handler

    def held(handler, action, data):  # noqa: ANN001, ANN202 — as the engine has it
        def answer(data):  # noqa: ANN001, ANN202 — as above
            refused = _refused(cognito, action, data)
            return cognito.error_response_json("NotAuthorizedException", refused, 400) if refused else handler(data)

        # It knows the pools only in the scope that it finds before it calls the handler.
        return run(answer, action, data)

    cognito._run_idp_handler = held


def _refused(cognito, action, data) -> str | None:  # noqa: ANN001 — as above
    """Why Cognito would not do this; None where the engine may answer."""
    if action == "SignUp":
        pool, _ = cognito._pool_for_client(data.get("ClientId"))
        only_operators = (pool or {}).get("AdminCreateUserConfig", {}).get("AllowAdminCreateUserOnly")
        return "SignUp is not permitted for this user pool" if only_operators else None
    if action == "UpdateUserAttributes":
        client_id = cognito._token_claims(data.get("AccessToken", "")).get("client_id")
        pool, _ = cognito._pool_for_client(client_id)
        writable = (pool or {}).get("_clients", {}).get(client_id, {}).get("WriteAttributes")
        wanted = {attribute.get("Name") for attribute in data.get("UserAttributes", [])}
        return "A client attempted to write unauthorized attribute" if writable and wanted - {*writable} else None
    token = data.get("RefreshToken") or data.get("AuthParameters", {}).get("REFRESH_TOKEN")
    user, _ = cognito._user_pool_for_access_token(token)
    return None if user is None or user.get("Enabled", True) else "User is disabled."


async def _serve(port: int) -> None:
    # Only now: the engine reads its environment when it is imported.
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app
    from ministack.services import cognito

    hold_to_the_pool(cognito)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, ended.set)
    loop.add_signal_handler(signal.SIGUSR1, lambda: loop.run_in_executor(None, _save))
    config = Config()
    config.bind = [f"{os.environ['BIND_HOST']}:{port}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 3
    config.loglevel = os.environ["LOG_LEVEL"]
    await serve(Counted(app), config, shutdown_trigger=ended.wait)


def _save() -> None:
    from ministack.app import _build_persistence_save_dict
    from ministack.core.persistence import save_all

    save_all(_build_persistence_save_dict())


def main() -> None:
    """Prepare the folders and run until told to end."""
    state = Path(os.environ["STATE_DIR"])
    state.mkdir(parents=True, exist_ok=True)
    port = int(os.environ["GATEWAY_PORT"])
    empty_stream_positions(state)
    move_queues(state, port)
    empty(Path(os.environ["TMPDIR"]))
    asyncio.run(_serve(port))
    # Threads of the engine that poll queues would keep the process; all that matters is saved.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
