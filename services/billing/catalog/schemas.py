"""Inputs of the commands of the catalog."""

from pydantic import ConfigDict

from shared.schema import DocumentedModel


class SetupCommand(DocumentedModel):
    """The command `setup`."""

    model_config = ConfigDict(extra="forbid")

    only_look: bool = False
