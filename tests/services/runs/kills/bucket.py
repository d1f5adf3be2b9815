"""A bucket in memory with the operations that `Artifacts` uses."""

from io import BytesIO
from typing import Any

from botocore.exceptions import ClientError


class MemoryS3:
    """The S3 operations that `Artifacts` uses."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put_object(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Write an object."""
        self.objects[arguments["Key"]] = arguments["Body"]
        return {}

    def get_object(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Read an object."""
        if arguments["Key"] not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": "NoSuchKey"}}, "GetObject")
        return {"Body": BytesIO(self.objects[arguments["Key"]])}

    def list_object_versions(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """List all objects below a prefix; each has one version."""
        found = (key for key in sorted(self.objects) if key.startswith(arguments["Prefix"]))
        return {"Versions": [{"Key": key, "VersionId": "1"} for key in found]}

    def delete_objects(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Delete objects."""
        for entry in arguments["Delete"]["Objects"]:
            self.objects.pop(entry["Key"], None)
        return {}

    def generate_presigned_url(self, method: str, **arguments: Any) -> str:  # noqa: ANN401 — as botocore's
        """Return an unreachable address."""
        return f"memory:{method}:{arguments['Params']['Key']}"
