"""Models that describe themselves."""

from shared.schema import DocumentedModel, SparseModel


class _Complete(DocumentedModel):
    size: int = 0
    """In bytes."""


class _Sparse(SparseModel):
    size: int = 0
    text: str = ""


class TestDocumentedModel:
    def test_describes_fields_by_their_docstrings(self) -> None:
        assert _Complete.model_json_schema()["properties"]["size"]["description"] == "In bytes."

    def test_requires_defaults_in_responses_alone(self) -> None:
        assert _Complete.model_json_schema(mode="serialization")["required"] == ["size"]
        assert "required" not in _Complete.model_json_schema()


class TestSparseModel:
    def test_contains_the_given_fields_only(self) -> None:
        assert _Sparse.model_validate({"size": 0}).model_dump() == {"size": 0}
        assert _Sparse().model_dump_json() == "{}"

    def test_passes_unknown_fields_through(self) -> None:
        assert _Sparse.model_validate({"older": [1]}).model_dump() == {"older": [1]}

    def test_requires_no_field_in_its_schema(self) -> None:
        schema = _Sparse.model_json_schema(mode="serialization")
        assert "required" not in schema
        assert "additionalProperties" not in schema
