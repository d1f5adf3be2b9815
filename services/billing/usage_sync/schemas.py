"""Inputs of the commands of the usage sync."""

from pydantic import ConfigDict

from shared.schema import DocumentedModel


class FlushCommand(DocumentedModel):
    """The command `flush`."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: str | None = None
