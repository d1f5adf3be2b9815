# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportMissingParameterType=false, reportUnknownParameterType=false, reportUnknownArgumentType=false
# The engine and its server are installed in the engine's own environment, where no type checker runs.
"""Run the engine in the foreground, in the engine's own environment. It imports nothing from this repository.

SIGTERM and SIGINT end it with its state saved; SIGUSR1 saves the state and goes on.
"""

import asyncio
import base64
import hashlib
import json
import os
import re
import shutil
import signal
import sys
import threading
import time
import zipfile
from collections import Counter
from datetime import datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

_CALLS_PATH = "/_ainexus/calls"
_DISCARDED = ".discarded"
MAX_CONCURRENT_STARTS = 2
"""Functions that start at the same time; more of them keep each other waiting on a small machine."""


def empty_stream_positions(state: Path) -> None:
    """Reset the read positions of the streams.

    The engine saves the positions but not the records. After a restart the records count from the start again,
    and a reader that waits for its old position would receive nothing.
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
    """Update the queues' URLs to the engine's new port.

    The engine saves queues by URL, and so do functions and stacks that refer to one. On a new port it would not find
    them, and no event would be delivered.
    """
    saved = re.compile(rb"(http://localhost:)\d+(/\d{12}/)")
    for path in (state / name for name in ("cloudformation.json", "lambda.json", "sqs.json")):
        before = path.read_bytes() if path.exists() else b""
        moved = saved.sub(rb"\g<1>%d\g<2>" % port, before)
        if moved != before:
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


class CallCounter:
    """The engine's application, with a counter of the AWS calls over HTTP for the measurements."""

    def __init__(self, app) -> None:  # noqa: ANN001 — an application of the engine's, where no type checker runs
        self._app = app
        self._calls: Counter[str] = Counter()

    async def __call__(self, scope, receive, send) -> None:  # noqa: ANN001 — as ASGI has it
        """Handle one request."""
        if scope["type"] == "http":
            if scope["path"] == _CALLS_PATH:
                await self._send_counts(send)
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

    async def _send_counts(self, send) -> None:  # noqa: ANN001 — as ASGI has it
        body = json.dumps(self._calls).encode()
        head = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})


class FormUploads:
    """The engine's application, with the form uploads of S3 (presigned POST), which the engine does not have.

    The policy of the form is enforced as S3 does: its signature, its expiry and each of its conditions.
    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html

    Args:
        app: the application.
        sign: returns the signature of a policy by its form, or None for keys that the engine does not know.
    """

    def __init__(self, app, sign) -> None:  # noqa: ANN001 — as above
        self._app = app
        self._sign = sign

    async def __call__(self, scope, receive, send) -> None:  # noqa: ANN001 — as ASGI has it
        """Handle one request."""
        headers = dict(scope.get("headers") or ())
        kind = headers.get(b"content-type", b"").decode()
        if scope.get("method") != "POST" or not kind.startswith("multipart/form-data"):
            await self._app(scope, receive, send)
            return
        form = form_of(kind, await _body_of(receive))
        bucket = scope["path"].strip("/")
        refused = reason_to_refuse_form(form, bucket=bucket, signature=self._sign(form), now=time.time())
        if refused:
            await _send_refusal(send, refused)
            return
        await self._app(_put_scope(scope, bucket, form), _received_once(form["file"]), _answered_with(send, form))


def form_of(kind: str, body: bytes) -> dict[str, Any]:
    """Return the fields of a form by their lower-case names; `file` as bytes, all others as text."""
    boundary = re.search(r'boundary="?([^";]+)"?', kind)
    fields: dict[str, Any] = {}
    for part in body.split(b"--" + boundary[1].encode())[1:-1] if boundary else ():
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        name = re.search(rb'name="([^"]*)"', head)
        if name:
            value = content.removesuffix(b"\r\n")
            label = name[1].decode().lower()
            fields[label] = value if label == "file" else value.decode()
    return fields


def reason_to_refuse_form(form: dict[str, Any], *, bucket: str, signature: str | None, now: float) -> str | None:
    """Return the reason why S3 refuses this form; None if its policy allows it."""
    if "policy" not in form or "file" not in form:
        return "The form needs a policy and a file."
    if not signature or form.get("x-amz-signature") != signature:
        return "The signature of the policy does not match."
    policy = json.loads(base64.b64decode(form["policy"]))
    if datetime.fromisoformat(policy["expiration"]).timestamp() < now:
        return "The policy has expired."
    values = {**form, "bucket": bucket}
    failed = [condition for condition in policy["conditions"] if not _is_met(condition, values)]
    return f"Policy condition failed: {json.dumps(failed[0])}" if failed else None


def _is_met(condition, values) -> bool:  # noqa: ANN001 — a condition of a policy
    if isinstance(condition, dict):
        return all(values.get(name.lower()) == value for name, value in condition.items())
    operator, first, second = condition
    if operator == "content-length-range":
        return first <= len(values["file"]) <= second
    value = values.get(first.removeprefix("$").lower(), "")
    return value == second if operator == "eq" else operator == "starts-with" and value.startswith(second)


def signature_of_form(s3, form: dict[str, Any]) -> str | None:  # noqa: ANN001 — the engine's module of S3
    """Return the signature that the form must have, by the secret of the keys that it names."""
    parts = form.get("x-amz-credential", "").split("/")
    if len(parts) != 5:
        return None
    owner = s3.find_iam_access_key_account(parts[0])
    found = s3.resolve_credential(parts[0], owner or s3.get_account_id(), form.get("x-amz-security-token", ""))
    if isinstance(found, s3.CredentialResolutionError):
        return None
    return s3.calculate_signature(found.secret_access_key, *parts[1:4], form.get("policy", ""))


def _put_scope(scope, bucket: str, form: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN001 — as ASGI has it
    """Return the request that stores the file as PutObject does, in the account of the form's keys."""
    path = f"/{bucket}/{form['key']}"
    signed = f"AWS4-HMAC-SHA256 Credential={form['x-amz-credential']}, SignedHeaders=host, Signature=form"
    kept = [(name, value) for name, value in scope["headers"] if name in {b"host", b"origin"}]
    added = {
        "content-type": form.get("content-type", "binary/octet-stream"),
        "content-length": str(len(form["file"])),
        "x-amz-security-token": form.get("x-amz-security-token", ""),
        "authorization": signed,
    }
    headers = [*kept, *((name.encode(), value.encode()) for name, value in added.items() if value)]
    raw_path = quote(path).encode()
    return {**scope, "method": "PUT", "path": path, "raw_path": raw_path, "query_string": b"", "headers": headers}


async def _body_of(receive) -> bytes:  # noqa: ANN001 — as ASGI has it
    body, more = bytearray(), True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body)


def _received_once(body: bytes):  # noqa: ANN202 — as ASGI has it
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive():  # noqa: ANN202 — as above
        return next(messages, {"type": "http.disconnect"})

    return receive


def _answered_with(send, form: dict[str, Any]):  # noqa: ANN001, ANN202 — as ASGI has it
    """Return the sender of the response, with the status that the form asks for."""

    async def answer(message) -> None:  # noqa: ANN001 — as above
        if message["type"] == "http.response.start" and message["status"] == 200:
            asked = form.get("success_action_status", "204")
            message = {**message, "status": int(asked) if asked in {"200", "201"} else 204}
        await send(message)

    return answer


async def _send_refusal(send, reason: str) -> None:  # noqa: ANN001 — as ASGI has it
    body = f"<Error><Code>AccessDenied</Code><Message>{escape(reason)}</Message></Error>".encode()
    head = [(b"content-type", b"application/xml"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": head})
    await send({"type": "http.response.body", "body": body})


def enforce_pool_settings(cognito) -> None:  # noqa: ANN001 — the engine's module of Cognito
    """Make the engine refuse requests that Cognito refuses by the settings of a pool, its client or a user.

    https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_SignUp.html,
    https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-settings-attributes.html (permissions),
    https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_AdminDisableUser.html
    """
    run = cognito._run_idp_handler

    def enforced(handler, action, data):  # noqa: ANN001, ANN202 — as the engine has it
        def checked(data):  # noqa: ANN001, ANN202 — as above
            refused = _reason_to_refuse(cognito, action, data)
            if refused:
                return cognito.error_response_json("NotAuthorizedException", refused, 400)
            if action == "AdminUpdateUserAttributes" and _is_email_in_use(cognito, data):
                return cognito.error_response_json("AliasExistsException", "The address is in use.", 400)
            return handler(data)

        # The engine knows the pools only in the scope that it looks up before it calls the handler.
        return run(checked, action, data)

    cognito._run_idp_handler = enforced


def _reason_to_refuse(cognito, action, data) -> str | None:  # noqa: ANN001 — as above
    """Return Cognito's reason to refuse this request; None if the engine may handle it."""
    if action == "SignUp":
        pool, _ = cognito._pool_for_client(data.get("ClientId"))
        only_operators = (pool or {}).get("AdminCreateUserConfig", {}).get("AllowAdminCreateUserOnly")
        return "SignUp is not permitted for this user pool" if only_operators else None
    if action == "UpdateUserAttributes":
        client_id = cognito._token_claims(data.get("AccessToken", "")).get("client_id")
        pool, _ = cognito._pool_for_client(client_id)
        writable = (pool or {}).get("_clients", {}).get(client_id, {}).get("WriteAttributes")
        requested = {attribute.get("Name") for attribute in data.get("UserAttributes", [])}
        return "A client attempted to write unauthorized attribute" if writable and requested - {*writable} else None
    token = data.get("RefreshToken") or data.get("AuthParameters", {}).get("REFRESH_TOKEN")
    user, _ = cognito._user_pool_for_access_token(token)
    return None if user is None or user.get("Enabled", True) else "User is disabled."


def _is_email_in_use(cognito, data) -> bool:  # noqa: ANN001 — as above
    """Return whether another user of the pool already has the new address.

    https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_AdminUpdateUserAttributes.html
    """
    pool, _ = cognito._resolve_pool(data.get("UserPoolId"))
    email = next((one.get("Value") for one in data.get("UserAttributes", []) if one.get("Name") == "email"), None)
    if not pool or not email:
        return False
    existing, _ = cognito._resolve_user(pool, email)
    user, _ = cognito._resolve_user(pool, data.get("Username"))
    return existing is not None and existing is not user


def share_unpacked_code(runtime: Any, folder: Path) -> None:  # noqa: ANN401 — the engine's module of function processes
    """Unpack each version of a function's code once instead of once for each process.

    A bundle has thousands of files, so unpacking took most of a cold start and most of the engine's processor time.
    """
    lock = threading.Lock()

    class SharedZip(zipfile.ZipFile):
        def extractall(self, path: Any = None, members: Any = None, pwd: bytes | None = None) -> None:  # noqa: ANN401 — as the base class has it
            unpacked = folder / f"code-{hashlib.sha256(Path(str(self.filename)).read_bytes()).hexdigest()}"
            with lock:
                if not unpacked.exists():
                    unfinished = unpacked.with_suffix(".unfinished")
                    super().extractall(unfinished, members, pwd)
                    unfinished.rename(unpacked)
            Path(path).rmdir()
            Path(path).symlink_to(unpacked)

    runtime.zipfile = SimpleNamespace(
        ZipFile=SharedZip, BadZipFile=zipfile.BadZipFile, LargeZipFile=zipfile.LargeZipFile
    )


def limit_starts(runtime: Any, service: Any, *, max_concurrent: int = MAX_CONCURRENT_STARTS) -> None:  # noqa: ANN401 — modules of the engine
    """Start few function processes at the same time, and use one that has become free meanwhile.

    As on AWS, an invocation that waits for a new environment is handed to an old one that becomes free first. Only
    starts are waited for, never a busy process, so functions that invoke each other cannot deadlock.
    """
    acquire = runtime.acquire_worker
    starts = threading.Semaphore(max_concurrent)

    def acquire_after_others(name, config, code, qualifier="$LATEST", max_concurrency=None):  # noqa: ANN001, ANN202 — as the engine has it
        worker, how = acquire(name, config, code, qualifier, 1)
        if how == "reused":
            return worker, how
        with starts:
            if worker is None:
                worker, how = acquire(name, config, code, qualifier, max_concurrency)
            if how == "spawn":
                _start(runtime, worker)
        return worker, how

    runtime.acquire_worker = service.acquire_worker = acquire_after_others


def _start(runtime: Any, worker: Any) -> None:  # noqa: ANN401 — as above
    try:
        runtime.ensure_spawned(worker)
    except Exception:  # noqa: BLE001 — the invocation starts it again and reports why it fails
        return


async def _serve(port: int) -> None:
    # Imported here, because the engine reads its environment at import.
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app
    from ministack.core import lambda_runtime
    from ministack.services import cognito, lambda_svc, s3

    enforce_pool_settings(cognito)
    share_unpacked_code(lambda_runtime, Path(os.environ["TMPDIR"]))
    limit_starts(lambda_runtime, lambda_svc)
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
    uploads = FormUploads(app, partial(signature_of_form, s3))
    await serve(CallCounter(uploads), config, shutdown_trigger=ended.wait)


def _save() -> None:
    from ministack.app import _build_persistence_save_dict
    from ministack.core.persistence import save_all

    save_all(_build_persistence_save_dict())


def main() -> None:
    """Prepare the folders and run until SIGTERM or SIGINT."""
    state = Path(os.environ["STATE_DIR"])
    state.mkdir(parents=True, exist_ok=True)
    port = int(os.environ["GATEWAY_PORT"])
    empty_stream_positions(state)
    move_queues(state, port)
    empty(Path(os.environ["TMPDIR"]))
    asyncio.run(_serve(port))
    # Polling threads of the engine would keep the process alive. Its state is saved.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
