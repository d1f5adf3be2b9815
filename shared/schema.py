"""The base of the models that a document describes: bodies of requests and responses, and events."""

import os
from typing import Any

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer


class DocumentedModel(BaseModel):
    """A model whose fields are described by the docstrings below them."""

    # Reading docstrings parses the source of each class. Functions write no documents, so their cold start omits it.
    # A response contains its defaults too, so they are required in its schema.
    model_config = ConfigDict(
        use_attribute_docstrings="AWS_LAMBDA_FUNCTION_NAME" not in os.environ,
        json_schema_serialization_defaults_required=True,
        # A request uses few of a function's models, so each is built on first use.
        defer_build=True,
    )


def _close(schema: dict[str, Any]) -> None:
    schema.pop("additionalProperties", None)


class SparseModel(DocumentedModel):
    """A part of a response that contains the given fields only, as stored JSON does.

    Fields of older versions are passed through, although the schema does not name them.
    """

    model_config = ConfigDict(
        extra="allow", json_schema_serialization_defaults_required=False, json_schema_extra=_close
    )

    @model_serializer(mode="wrap")
    def _only_given(self, serialize: SerializerFunctionWrapHandler):  # noqa: ANN202 — a type here would replace the schema
        fields: dict[str, Any] = serialize(self)
        return {name: value for name, value in fields.items() if name in self.model_fields_set}
