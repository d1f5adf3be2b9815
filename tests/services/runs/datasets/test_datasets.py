"""Datasets over HTTP, with their uploads and their job."""

import base64
import gzip
import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from services.runs import wiring
from services.runs.datasets.operations.datasets import clear_removed
from services.runs.datasets.operations.uploads import sweep_uploads
from services.runs.functions.api import handler as app
from services.runs.functions.lab import handler as lab
from services.runs.partitions import DATASETS, SLICE
from services.runs.runs.table.storage import StoredBytes
from shared.aws.clients import own_client
from shared.events.envelope import Event, new_event
from shared.events.runs import DatasetUploadReceived
from shared.storage.transaction import Expression
from shared.tenancy.permissions import Role
from shared.times import utc_now
from tests.gateway import claims, request
from tests.messages import batch
from tests.services.runs.conftest import World, know_tenant
from tests.services.runs.examples import AGENT_ID, TENANT
from tests.services.runs.workers import execute, outbox, submit
from tests.tables import BUCKET

DATASETS_PATH = "/v1/tenants/{tenant_id}/datasets"
DATASET = f"{DATASETS_PATH}/{{dataset_id}}"


def call(
    method: str,
    resource: str,
    body: object = None,
    *,
    role: Role = Role.DEVELOPER,
    query: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    **path: str,
) -> tuple[int, dict[str, Any]]:
    """Return the status and the body of a response."""
    parameters = {"tenant_id": TENANT, **path}
    event = request(
        method, resource, path_parameters=parameters, claims=claims(role=role), body=body, query=query, headers=headers
    )
    answer = app(event)
    return answer["statusCode"], json.loads(answer["body"]) if answer["body"] else {}


def create() -> str:
    """Create a dataset and return its id."""
    status, body = call("POST", DATASETS_PATH, {"name": "Questions"})
    assert status == 201
    return body["dataset"]["dataset_id"]


def request_upload(dataset_id: str, **body: Any) -> dict[str, Any]:  # noqa: ANN401 — any field of the body
    """Request an upload and return it."""
    status, answer = call("POST", f"{DATASET}/upload", {"format": "jsonl", **body}, dataset_id=dataset_id)
    assert status == 201
    return answer["upload"]


def put(upload: dict[str, Any], content: str) -> None:
    """Upload a file as the form does."""
    own_client("s3").put_object(Bucket=BUCKET, Key=upload["fields"]["key"], Body=content.encode())


def state_of(upload: dict[str, Any]) -> dict[str, Any]:
    """Return the upload as its client sees it."""
    path = {"dataset_id": upload["dataset_id"], "upload_id": upload["upload_id"]}
    return call("GET", f"{DATASET}/uploads/{{upload_id}}", **path)[1]["upload"]


def received(upload: dict[str, Any]) -> Event[DatasetUploadReceived]:
    """Return the event that starts the validation."""
    data = DatasetUploadReceived(dataset_id=upload["dataset_id"], upload_id=upload["upload_id"])
    name = upload["upload_id"]
    return new_event(data, event_id=f"{name}:received:1", tenant_id=TENANT, subject=name, seq=2, at=utc_now())


def publish(dataset_id: str, content: str, **body: Any) -> dict[str, Any]:  # noqa: ANN401 — any field of the body
    """Upload a file, validate it, and return the state of the upload."""
    upload = request_upload(dataset_id, **body)
    put(upload, content)
    assert state_of(upload)["status"] == "validating"
    assert lab(batch(received(upload))) == {"batchItemFailures": []}
    return state_of(upload)


def questions(count: int, *, first: int = 0) -> str:
    """Return a file with this many items."""
    return "".join(
        f'{{"input": "Question {number}", "expected": "{number}"}}\n' for number in range(first, first + count)
    )


def files(prefix: str) -> list[str]:
    """Return the keys of the objects of a dataset."""
    found = own_client("s3").list_objects_v2(Bucket=BUCKET, Prefix=f"tenants/{TENANT}/runs/datasets/{prefix}")
    return [entry["Key"] for entry in found.get("Contents", ())]


@pytest.mark.usefixtures("world")
class TestUpload:
    def test_publishes_ten_thousand_items_as_a_version(self, world: World) -> None:
        dataset_id = create()
        ended = publish(dataset_id, questions(10_000))
        assert (ended["status"], ended["version"], ended["errors"]) == ("published", 1, [])
        dataset = call("GET", DATASET, dataset_id=dataset_id)[1]["dataset"]
        assert (dataset["version"], dataset["items"]) == (1, 10_000)
        [version] = [key for key in files(dataset_id) if "/versions/" in key]
        size = own_client("s3").head_object(Bucket=BUCKET, Key=version)["ContentLength"]
        assert StoredBytes(world.store, TENANT).read() == size
        assert f"{dataset_id}:v1:stored" in outbox(world)

    def test_with_a_bad_line_publishes_nothing(self, world: World) -> None:
        dataset_id = create()
        ended = publish(dataset_id, questions(3) + "{\n" + questions(1, first=3))
        assert (ended["status"], ended["version"]) == ("rejected", None)
        assert [error["line"] for error in ended["errors"]] == [4]
        assert call("GET", DATASET, dataset_id=dataset_id)[1]["dataset"]["version"] is None
        assert StoredBytes(world.store, TENANT).read() == 0

    def test_is_validated_once_however_often_it_is_delivered(self) -> None:
        dataset_id = create()
        upload = request_upload(dataset_id)
        put(upload, questions(3))
        state_of(upload)
        assert lab(batch(received(upload), received(upload))) == {"batchItemFailures": []}
        assert lab(batch(received(upload), extra={"new": 1})) == {"batchItemFailures": []}
        assert state_of(upload)["version"] == 1
        assert call("GET", DATASET, dataset_id=dataset_id)[1]["dataset"]["version"] == 1

    def test_that_cannot_be_read_is_delivered_again_alone(self) -> None:
        uploads = [request_upload(create()) for _ in range(2)]
        for upload in uploads:
            put(upload, questions(1))
            state_of(upload)
        unknown = new_event(
            DatasetUploadReceived(dataset_id="dst", upload_id="upl"),
            event_id="broken",
            tenant_id="no#tenant",
            subject="upl",
            seq=1,
            at=utc_now(),
        )
        failures = lab(batch(received(uploads[0]), unknown, received(uploads[1])))["batchItemFailures"]
        assert failures == [{"itemIdentifier": "message-1"}]
        assert [state_of(upload)["status"] for upload in uploads] == ["published", "published"]

    def test_takes_other_formats(self) -> None:
        dataset_id = create()
        assert publish(dataset_id, "input,expected\nHi,Hello\n", format="csv")["version"] == 1
        evals = {"format": "openai_evals", "mapping": {"input": "question"}}
        assert publish(dataset_id, '{"item": {"question": "1+1?"}}\n', **evals)["version"] == 2
        status, _ = call("POST", f"{DATASET}/upload", {"format": "csv", "mapping": {}}, dataset_id=dataset_id)
        assert status == 422

    def test_allows_one_key_of_its_tenant_and_a_bounded_size(self) -> None:
        upload = request_upload(create())
        policy = json.loads(base64.b64decode(upload["fields"]["policy"]))
        key = f"tenants/{TENANT}/runs/datasets/{upload['dataset_id']}/uploads/{upload['upload_id']}/file"
        assert {"key": key} in policy["conditions"]
        assert {"bucket": BUCKET} in policy["conditions"]
        assert ["content-length-range", 1, 50_000_000] in policy["conditions"]
        assert not any("starts-with" in condition for condition in policy["conditions"])

    def test_is_found_by_the_reaper(self, world: World) -> None:
        upload = request_upload(create())
        files_of = wiring.slice_datasets()
        assert sweep_uploads(world.store, files_of, now=utc_now() + timedelta(seconds=16)).handled == 1
        put(upload, questions(1))
        sweep_uploads(world.store, files_of, now=utc_now() + timedelta(seconds=60))
        assert f"{upload['upload_id']}:received:1" in outbox(world)
        lab(batch(received(upload)))
        later = utc_now() + timedelta(minutes=10)
        sweep_uploads(world.store, files_of, now=later)
        assert not [key for key in files(upload["dataset_id"]) if "/uploads/" in key]
        assert sweep_uploads(world.store, files_of, now=later + timedelta(days=1)).handled == 0

    def test_whose_file_does_not_come_is_rejected(self, world: World) -> None:
        upload = request_upload(create())
        sweep_uploads(world.store, wiring.slice_datasets(), now=utc_now() + timedelta(minutes=6))
        ended = state_of(upload)
        assert (ended["status"], ended["errors"][0]["line"]) == ("rejected", 0)

    def test_whose_validation_is_lost_three_times_is_rejected(self, world: World) -> None:
        upload = request_upload(create())
        put(upload, questions(1))
        for minutes in (1, 20, 40, 60):
            sweep_uploads(world.store, wiring.slice_datasets(), now=utc_now() + timedelta(minutes=minutes))
        assert state_of(upload)["status"] == "rejected"

    def test_is_refused_without_free_storage(self, world: World) -> None:
        know_tenant(world.store, seq=2, max_storage_gb=0)
        dataset_id = create()
        status, body = call("POST", f"{DATASET}/upload", {"format": "jsonl"}, dataset_id=dataset_id)
        assert (status, body["error"]) == (409, "LimitReached")

    def test_whose_version_does_not_fit_is_rejected(self, world: World) -> None:
        upload = request_upload(create())
        put(upload, questions(1))
        state_of(upload)
        know_tenant(world.store, seq=2, max_storage_gb=0)
        lab(batch(received(upload)))
        assert state_of(upload)["status"] == "rejected"
        assert StoredBytes(world.store, TENANT).read() == 0

    def test_is_answered_twice_and_created_once(self) -> None:
        dataset_id, key = create(), {"idempotency-key": "k"}
        answers = [
            call("POST", f"{DATASET}/upload", {"format": "jsonl"}, dataset_id=dataset_id, headers=key)[1]["upload"]
            for _ in range(2)
        ]
        assert answers[0]["upload_id"] == answers[1]["upload_id"]


@pytest.mark.usefixtures("world")
class TestItems:
    def test_are_paged_in_their_order(self) -> None:
        dataset_id = create()
        publish(dataset_id, questions(250))
        seen, query = list[str](), {"limit": "60"}
        while True:
            _, body = call("GET", f"{DATASET}/items", query=query, dataset_id=dataset_id)
            seen += [item["expected"] for item in body["items"]]
            if not body["pagination"]["hasMore"]:
                break
            query = {"limit": "60", "next_token": body["pagination"]["nextToken"]}
        assert seen == [str(number) for number in range(250)]

    def test_of_an_earlier_version_do_not_change(self) -> None:
        dataset_id = create()
        publish(dataset_id, questions(1))
        publish(dataset_id, questions(1, first=7))
        for version, expected in (("1", "0"), ("2", "7")):
            _, body = call("GET", f"{DATASET}/items", query={"version": version}, dataset_id=dataset_id)
            assert [item["expected"] for item in body["items"]] == [expected]
        assert call("GET", f"{DATASET}/items", query={"version": "3"}, dataset_id=dataset_id)[0] == 404
        _, body = call("GET", f"{DATASET}/versions", dataset_id=dataset_id)
        assert [version["version"] for version in body["versions"]] == [2, 1]

    def test_of_a_page_are_at_most_two_megabytes(self) -> None:
        dataset_id = create()
        publish(dataset_id, "".join(json.dumps({"input": f"{number}" + "x" * 900_000}) + "\n" for number in range(4)))
        _, body = call("GET", f"{DATASET}/items", dataset_id=dataset_id)
        assert (len(body["items"]), body["pagination"]["hasMore"]) == (2, True)

    def test_are_downloaded_as_compressed_lines(self, world: World) -> None:
        dataset_id = create()
        publish(dataset_id, questions(150))
        status, body = call("GET", f"{DATASET}/download", dataset_id=dataset_id)
        assert status == 200
        path = urlsplit(str(body["download"]["url"])).path
        key = path[path.index("tenants/") :]
        content = gzip.decompress(own_client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read())
        assert len(content.splitlines()) == 150
        assert any(f"{dataset_id}:v1:downloaded:" in event_id for event_id in outbox(world))

    def test_come_from_runs(self, world: World) -> None:
        dataset_id, run = create(), execute(world, submit(world, message="Hello"))
        publish(dataset_id, questions(1))
        body = {"from_runs": {"run_ids": [run.run_id]}, "expected": True}
        assert call("POST", f"{DATASET}/items", body, dataset_id=dataset_id)[0] == 201
        assert call("POST", f"{DATASET}/items", body, dataset_id=dataset_id)[1]["version"]["items"] == 2
        _, answer = call("GET", f"{DATASET}/items", dataset_id=dataset_id)
        last = answer["items"][-1]
        assert (last["item_id"], last["inputs"]) == (run.run_id, {"message": "Hello"})
        assert run.output is not None
        assert last["expected"] == run.output["message"]

    def test_come_from_runs_that_a_filter_selects(self, world: World) -> None:
        dataset_id = create()
        for number in range(3):
            submit(world, message=f"Question {number}")
        body = {"from_runs": {"agent_id": AGENT_ID, "limit": 2}}
        assert call("POST", f"{DATASET}/items", body, dataset_id=dataset_id)[1]["version"]["items"] == 2

    def test_do_not_come_from_unknown_runs(self) -> None:
        body = {"from_runs": {"run_ids": ["run_01M82VGJKEZJ1F4SK5FD3YPW7Y"]}}
        status, answer = call("POST", f"{DATASET}/items", body, dataset_id=create())
        assert (status, answer["details"][0]["field"]) == (422, "from_runs.run_ids.0")


@pytest.mark.usefixtures("world")
class TestDataset:
    def test_is_changed_and_listed(self) -> None:
        dataset_id = create()
        assert call("PATCH", DATASET, {"name": "Other"}, dataset_id=dataset_id)[1]["dataset"]["name"] == "Other"
        assert [one["name"] for one in call("GET", DATASETS_PATH)[1]["datasets"]] == ["Other"]

    def test_is_read_by_analysts_and_changed_by_developers(self) -> None:
        dataset_id = create()
        assert call("GET", DATASET, dataset_id=dataset_id, role=Role.ANALYST)[0] == 200
        assert call("GET", DATASET, dataset_id=dataset_id, role=Role.OBSERVER)[0] == 403
        assert call("DELETE", DATASET, dataset_id=dataset_id, role=Role.ANALYST)[0] == 403

    def test_needs_the_feature_experiments(self, world: World) -> None:
        know_tenant(world.store, seq=2, enabled_features=["agents"])
        assert call("POST", DATASETS_PATH, {"name": "Questions"})[0] == 403

    def test_is_deleted_with_its_versions_and_files(self, world: World) -> None:
        dataset_id = create()
        publish(dataset_id, questions(3))
        publish(dataset_id, questions(4))
        assert call("DELETE", DATASET, dataset_id=dataset_id)[0] == 204
        assert call("DELETE", DATASET, dataset_id=dataset_id)[0] == 404
        assert call("GET", f"{DATASET}/items", dataset_id=dataset_id)[0] == 404
        assert (files(dataset_id), StoredBytes(world.store, TENANT).read()) == ([], 0)
        clear_removed(world.store, wiring.slice_datasets(), now=utc_now() + timedelta(minutes=17))
        rows = world.store.query_all(Expression("#PK = :pk", {"pk": SLICE.key(TENANT, DATASETS)}))
        assert list(rows) == []

    def test_that_is_deleted_takes_no_upload_any_more(self) -> None:
        dataset_id = create()
        upload = request_upload(dataset_id)
        put(upload, questions(1))
        state_of(upload)
        call("DELETE", DATASET, dataset_id=dataset_id)
        assert lab(batch(received(upload))) == {"batchItemFailures": []}
        assert call("GET", DATASET, dataset_id=dataset_id)[0] == 404
