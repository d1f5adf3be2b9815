"""The servers that a config or a provider key may name."""

import pytest

from services.agents.base_urls.domain import BaseUrlPolicy


class TestBaseUrlPolicy:
    @pytest.mark.parametrize(
        ("url", "public", "private"),
        [
            (None, True, True),
            ("https://llm.example", True, True),
            ("http://llm.example", False, True),
            ("http://127.0.0.1:11434/v1", False, True),
        ],
    )
    def test_requires_https_unless_private_servers_are_allowed(
        self,
        url: str | None,
        public: bool,  # noqa: FBT001 — parameters of pytest's
        private: bool,  # noqa: FBT001 — as above
    ) -> None:
        assert BaseUrlPolicy().allows(url) is public
        assert BaseUrlPolicy(allow_private=True).allows(url) is private
