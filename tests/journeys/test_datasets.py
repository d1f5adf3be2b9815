"""Datasets on the mesh: upload by a presigned form, validation, items and download."""

import gzip
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pytest

from tests.journeys.steps import Steps, wait_for

pytestmark = pytest.mark.mesh

ITEMS = 10_000


def send_form(url: str, fields: Mapping[str, str], content: bytes) -> int:
    """Send a form as a browser does, and return the status of the response."""
    boundary = uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    file = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="items.jsonl"\r\n\r\n'
    body = "".join([*parts, file]).encode() + content + f"\r\n--{boundary}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310 — the mesh of this machine
    try:
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 — as above
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def request_upload(steps: Steps, dataset_id: str) -> dict[str, Any]:
    """Request an upload of JSON lines."""
    response = steps.call("POST", f"/datasets/{dataset_id}/upload", {"format": "jsonl"})
    assert response.status == 201, response
    return response.body["upload"]


def publish(steps: Steps, dataset_id: str, content: bytes) -> dict[str, Any]:
    """Upload a file and return the ended upload."""
    upload = request_upload(steps, dataset_id)
    assert send_form(upload["url"], upload["fields"], content) == 201

    def ended() -> dict[str, Any] | None:
        found = steps.call("GET", f"/datasets/{dataset_id}/uploads/{upload['upload_id']}").body["upload"]
        return found if found["status"] in {"published", "rejected"} else None

    return wait_for(ended, description="the upload is validated", timeout_s=120)


def create_dataset(steps: Steps) -> str:
    """Create a dataset and return its id."""
    return str(steps.call("POST", "/datasets", {"name": "Journey"}).body["dataset"]["dataset_id"])


class TestDatasets:
    def test_ten_thousand_items_are_uploaded_validated_and_downloaded(self, steps: Steps) -> None:
        dataset_id = create_dataset(steps)
        content = "".join(json.dumps({"input": f"Q{number}", "expected": number}) + "\n" for number in range(ITEMS))
        assert publish(steps, dataset_id, content.encode())["version"] == 1
        items = steps.call("GET", f"/datasets/{dataset_id}/items?limit=100").body["items"]
        assert [item["expected"] for item in items] == list(range(100))
        url = steps.call("GET", f"/datasets/{dataset_id}/download").body["download"]["url"]
        with urllib.request.urlopen(url, timeout=60) as response:  # noqa: S310 — the mesh of this machine
            assert len(gzip.decompress(response.read()).splitlines()) == ITEMS
        assert steps.call("DELETE", f"/datasets/{dataset_id}").status == 204

    def test_a_bad_line_is_named_and_nothing_is_published(self, steps: Steps) -> None:
        dataset_id = create_dataset(steps)
        ended = publish(steps, dataset_id, b'{"input": "a"}\n{"input": 1}\n')
        assert (ended["status"], [error["line"] for error in ended["errors"]]) == ("rejected", [2])

    def test_a_form_does_not_take_the_key_of_another_tenant(self, steps: Steps) -> None:
        upload = request_upload(steps, create_dataset(steps))
        other = upload["fields"]["key"].replace("tenants/demo-org/", "tenants/enterprise-test/")
        assert send_form(upload["url"], {**upload["fields"], "key": other}, b'{"input": "a"}\n') == 403
