"""Allowed addresses of a base URL."""

import socket

import pytest

from services.runs.providers.gateway.addresses import Addresses, AddressRefused, is_official, is_public, resolve

PRIVATE = [
    "127.0.0.1",
    "127.8.9.10",
    "0.0.0.0",  # noqa: S104 — it is refused
    "10.0.0.1",
    "172.16.5.4",
    "192.168.1.1",
    "169.254.169.254",
    "169.254.170.2",
    "100.64.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fec0::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2001:db8::1",
    "not an address",
]
PUBLIC = ["93.184.216.34", "1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]


class TestIsPublic:
    @pytest.mark.parametrize("address", PRIVATE)
    def test_refuses_private_addresses(self, address: str) -> None:
        assert not is_public(address)

    @pytest.mark.parametrize("address", PUBLIC)
    def test_allows_public_addresses(self, address: str) -> None:
        assert is_public(address)


class TestCheck:
    @pytest.mark.parametrize(
        "base_url",
        [
            "https://llm.example.org",
            "https://llm.example.org/v1",
            "https://llm.example.org:8443/v1/",
            "HTTPS://LLM.example.org",
            "https://1.1.1.1/v1",
            "https://[2606:4700:4700::1111]/v1",
        ],
    )
    def test_allows_public_https(self, base_url: str) -> None:
        Addresses().check(base_url)

    @pytest.mark.parametrize(
        "base_url",
        [
            "http://llm.example.org",
            "https://localhost",
            "https://localhost.:443",
            "https://api.localhost",
            "https://127.0.0.1",
            "https://[::1]",
            "https://[::ffff:169.254.169.254]/latest",
            "https://169.254.169.254/latest/meta-data",
            "https://192.168.1.1",
            "ftp://llm.example.org",
            "file:///etc/passwd",
            "llm.example.org",
            "//llm.example.org",
            "https://",
            "https:///v1",
            "https://user@llm.example.org",
            "https://user:password@llm.example.org",
            "https://api.openai.com\\@llm.example.org",
            "https://llm.example.org?x=1",
            "https://llm.example.org#x",
            "https://llm.example.org:99999",
            "https://llm.example.org/ v1",
            "https://llm.example.org/v1\n",
            "https://\u217cocalhost",
            "https://\uff11\uff12\uff17.0.0.1",
        ],
    )
    def test_refuses_other_urls(self, base_url: str) -> None:
        with pytest.raises(AddressRefused) as raised:
            Addresses().check(base_url)
        assert (raised.value.code, raised.value.retry, raised.value.usage_known) == ("ProviderRejected", False, True)

    @pytest.mark.parametrize("base_url", ["http://localhost:11434/v1", "http://127.0.0.1:8080", "http://[::1]:8080"])
    def test_allows_local_servers_if_configured(self, base_url: str) -> None:
        Addresses(allow_private=True).check(base_url)

    @pytest.mark.parametrize("base_url", ["file:///etc/passwd", "http://user@localhost", "gopher://localhost"])
    def test_refuses_invalid_urls_even_if_private_ones_are_allowed(self, base_url: str) -> None:
        with pytest.raises(AddressRefused):
            Addresses(allow_private=True).check(base_url)


class TestOf:
    @pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost", "0"])
    def test_refuses_loopback_in_other_spellings(self, host: str) -> None:
        with pytest.raises(AddressRefused):
            Addresses().of(host, 443)

    @pytest.mark.parametrize("address", PRIVATE)
    def test_refuses_a_private_dns_result(self, address: str) -> None:
        with pytest.raises(AddressRefused):
            Addresses(resolve=lambda _host, _port: ["93.184.216.34", address]).of("innocent.example", 443)

    def test_resolves_once_and_returns_the_checked_addresses(self) -> None:
        answers = iter([["93.184.216.34"], ["127.0.0.1"]])
        assert Addresses(resolve=lambda _host, _port: next(answers)).of("rebinding.example", 443) == ["93.184.216.34"]

    def test_returns_private_addresses_if_configured(self) -> None:
        assert "127.0.0.1" in Addresses(allow_private=True).of("127.0.0.1", 80)


class TestResolve:
    @pytest.mark.parametrize("host", ["a" * 64 + ".example", "no-such-name.invalid"])
    def test_raises_a_network_error_for_a_name_without_address(self, host: str) -> None:
        with pytest.raises(OSError, match=r".+"):
            resolve(host, 443)

    def test_returns_each_address_once(self) -> None:
        found = resolve("127.0.0.1", 80)
        assert found == ["127.0.0.1"]
        assert socket.inet_aton(found[0])


class TestIsOfficial:
    @pytest.mark.parametrize(
        ("provider", "base_url"),
        [
            ("openai", None),
            ("openai", "https://api.openai.com/v1"),
            ("openai", "https://API.openai.com:443/v1"),
            ("anthropic", "https://api.anthropic.com"),
        ],
    )
    def test_accepts_the_provider_itself(self, provider: str, base_url: str | None) -> None:
        assert is_official(provider, base_url)

    @pytest.mark.parametrize(
        ("provider", "base_url"),
        [
            ("openai", "http://api.openai.com/v1"),
            ("openai", "https://api.openai.com:8443/v1"),
            ("openai", "https://api.openai.com.example.org/v1"),
            ("openai", "https://api.openai.com@example.org/v1"),
            ("openai", "https://example.org/api.openai.com"),
            ("openai", "https://api.anthropic.com"),
            ("anthropic", "https://api.openai.com"),
            ("bedrock", "https://example.org"),
        ],
    )
    def test_refuses_any_other_server(self, provider: str, base_url: str) -> None:
        assert not is_official(provider, base_url)
