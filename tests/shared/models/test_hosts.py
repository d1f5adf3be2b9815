"""The operators of servers."""

import pytest

from shared.models.hosts import HostKind, host_kind


class TestHostKind:
    @pytest.mark.parametrize(
        ("base_url", "kind"),
        [
            ("https://api.openai.com/v1", HostKind.OPENAI),
            ("https://API.OpenAI.com:443/v1", HostKind.OPENAI),
            ("https://eu.api.openai.com/v1", HostKind.OPENAI_REGIONAL),
            ("https://api.anthropic.com", HostKind.ANTHROPIC),
            ("https://acme.openai.azure.com/openai/v1", HostKind.AZURE),
            ("https://acme.services.ai.azure.com/openai/v1", HostKind.AZURE),
            ("https://llm.example.org/v1", HostKind.OTHER),
            ("https://api.openai.com.evil.example/v1", HostKind.OTHER),
            ("https://evilapi.openai.com.example", HostKind.OTHER),
            ("https://notapi.openai.com/v1", HostKind.OTHER),
            ("https://openai.azure.com/openai/v1", HostKind.OTHER),
            ("https://llm.example.org/api.openai.com", HostKind.OTHER),
            ("https://[", HostKind.OTHER),
            ("", HostKind.OTHER),
        ],
    )
    def test_depends_on_the_host_name_alone(self, base_url: str, kind: HostKind) -> None:
        assert host_kind(base_url) is kind
