"""Signatures of requests are those of botocore."""

from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import quote

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from shared.aws.signing import BODY_HASH, Keys, Scope, sign

_NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=12).map(lambda name: f"x-{name}")
_VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30)
_TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
_PATHS = st.lists(st.from_regex(r"[A-Za-z0-9_.~-]*[A-Za-z0-9_~-]", fullmatch=True), max_size=4)
_TIMES = st.datetimes(datetime(2020, 1, 1), datetime(2060, 1, 1))  # noqa: DTZ001 — the zone is added below
_SCOPES = st.builds(
    Scope, st.sampled_from(["dynamodb", "events", "lambda"]), st.sampled_from(["us-east-2", "eu-west-1"])
)


def signed_by_botocore(
    path: str, headers: dict[str, str], body: bytes, *, keys: Keys, scope: Scope, at: datetime, method: str = "POST"
) -> dict[str, str]:
    """Return the headers of the same request, signed by botocore."""
    request = AWSRequest(method, f"https://{headers['host']}{path}", headers=headers, data=body)
    request.context["timestamp"] = f"{at:%Y%m%dT%H%M%SZ}"
    auth_class = S3SigV4Auth if scope.service == "s3" else SigV4Auth
    auth = auth_class(ReadOnlyCredentials(*keys), scope.service, scope.region)
    # The steps of `add_auth`, which takes the time from its own clock.
    auth._modify_request_before_signing(request)  # pyright: ignore  # noqa: PGH003
    text = auth.string_to_sign(request, auth.canonical_request(request))
    auth._inject_signature_to_request(request, auth.signature(text, request))  # pyright: ignore  # noqa: PGH003
    return {name.lower(): str(value) for name, value in request.headers.items()}


class TestSign:
    @given(
        parts=_PATHS,
        extra=st.dictionaries(_NAMES, _VALUES, max_size=4),
        body=st.binary(max_size=200),
        keys=st.builds(Keys, _TEXT, _TEXT, st.none() | _TEXT),
        scope=_SCOPES,
        at=_TIMES,
    )
    def test_equals_the_signature_of_botocore(
        self, parts: list[str], extra: dict[str, str], body: bytes, keys: Keys, scope: Scope, at: datetime
    ) -> None:
        path, moment = "/" + "/".join(parts), at.replace(tzinfo=UTC)
        headers = {**extra, "host": "service.example:4566", "content-type": "application/x-amz-json-1.0"}
        ours = sign("POST", path, headers, body, keys=keys, scope=scope, at=moment)
        assert ours == signed_by_botocore(path, headers, body, keys=keys, scope=scope, at=moment)

    @given(
        key=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30),
        body=st.binary(max_size=200),
        at=_TIMES,
    )
    def test_equals_the_signature_of_botocore_for_any_object_key(self, key: str, body: bytes, at: datetime) -> None:
        path, moment = quote(f"/bucket/{key}", safe="/~"), at.replace(tzinfo=UTC)
        keys, scope = Keys("a", "b", "c"), Scope("s3", "us-east-2")
        headers = {"host": "service.example:4566", "content-type": "text/plain", BODY_HASH: sha256(body).hexdigest()}
        ours = sign("PUT", path, headers, body, keys=keys, scope=scope, at=moment)
        assert ours == signed_by_botocore(path, headers, body, keys=keys, scope=scope, at=moment, method="PUT")

    def test_depends_on_the_body(self) -> None:
        keys, scope, at = Keys("a", "b", None), Scope("dynamodb", "us-east-2"), datetime(2026, 11, 22, tzinfo=UTC)
        first, second = (
            sign("POST", "/", {"host": "x"}, body, keys=keys, scope=scope, at=at)["authorization"]
            for body in (b"{}", b"{ }")
        )
        assert first != second
