"""Validation of a tenant's `base_url`: it must be a public https address outside of our own network.

A host name is resolved once, and the connection is made to the checked address, so that a second DNS answer cannot
redirect it.
"""

import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from services.runs.errors import ProviderFailed

OFFICIAL_HOSTS = {"openai": "api.openai.com", "anthropic": "api.anthropic.com"}
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?(?:/[a-z0-9._~%/-]*)?",
    re.IGNORECASE,
)
"""The allowed form of a base URL. It excludes parts on which parsers disagree: user names, backslashes, other
alphabets."""
_PORTS = {"https": 443, "http": 80}
_NAT64 = IPv6Network("64:ff9b::/96")

Resolve = Callable[[str, int], Sequence[str]]


def resolve(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host according to the system's resolver; the host may be an IP address.

    Raises:
        OSError: it has none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        msg = "not a host name"
        raise OSError(msg) from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class AddressRefused(ProviderFailed):
    """The config's `base_url` is not allowed."""

    def __init__(self) -> None:
        super().__init__("ProviderRejected", "The base_url must be a public https address.")


@dataclass(frozen=True, slots=True)
class Addresses:
    """The rule for addresses.

    Args:
        allow_private: for local development: http, and servers in the same network.
        resolve: returns the addresses of a host and port.
    """

    allow_private: bool = False
    resolve: Resolve = resolve

    def check(self, base_url: str) -> None:
        """Refuse a URL by its text; the addresses of its host are checked when the connection is made.

        Raises:
            AddressRefused: it is not a URL, not https, or contains a private address.
        """
        found = _URL.fullmatch(base_url)
        if not found or int(found["port"] or 0) > 65_535:
            raise AddressRefused
        if self.allow_private:
            return
        if found["scheme"].lower() != "https" or _is_private_text(found["host"]):
            raise AddressRefused

    def of(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses to connect to.

        Raises:
            AddressRefused: one of them is not public.
            OSError: the host has none.
        """
        found = self.resolve(host, port)
        if not self.allow_private and not all(is_public(address) for address in found):
            raise AddressRefused
        return found


Server = tuple[str, str, int]
"""Scheme, host and port, to which a key belongs."""


def server_of(provider: str, base_url: str | None) -> Server | None:
    """Return the server at this address, or the provider's own if no address is given; None if it is not a URL."""
    if base_url is None:
        return _official(provider)
    found = _URL.fullmatch(base_url)
    if found is None:
        return None
    scheme = found["scheme"].lower()
    return scheme, found["host"].lower(), int(found["port"] or _PORTS[scheme])


def is_official(provider: str, base_url: str | None) -> bool:
    """Return whether this is the provider's own server, which may receive the platform's key."""
    return base_url is None or server_of(provider, base_url) == _official(provider)


def _official(provider: str) -> Server | None:
    host = OFFICIAL_HOSTS.get(provider)
    return ("https", host, 443) if host else None


def is_public(address: str) -> bool:
    """Return whether this is a public internet address, including one that is embedded in an IPv6 address."""
    try:
        return _is_public(ip_address(address))
    except ValueError:
        return False


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    inner = _inner(address)
    if inner is not None:
        return _is_public(inner)
    site_local = isinstance(address, IPv6Address) and address.is_site_local
    return address.is_global and not (address.is_multicast or address.is_reserved or site_local)


def _inner(address: IPv4Address | IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that is embedded in an IPv6 address, if any."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)


def _is_private_text(host: str) -> bool:
    name = host.lower().strip("[]").rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return not _is_public(ip_address(name))
    except ValueError:
        return False
