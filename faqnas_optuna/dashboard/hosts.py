"""Host names that the dashboard answers to, as a protection against DNS rebinding.

A web page can make its own name point to this machine, and a browser would then let the page read what is served here. The
browser still sends the name of the page in the Host header, so requests with an unknown Host header are refused. Addresses need
no such care: a page cannot have one of this machine as its name.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from faqnas_optuna.errors import ConfigError

LABEL = "[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?"
NAME = re.compile(rf"{LABEL}(\.{LABEL})*\.?")
"""Pattern of a host name. Underscores are not standard, but occur in older networks."""


@dataclass(frozen=True, kw_only=True)
class Hosts:
    """Names of the server in requests that it answers."""

    address: str
    """Address that the server listens on."""
    names: frozenset[str]
    """Allowed names, in lower case."""

    @classmethod
    def of(cls, host: str, address: str, allowed: Iterable[str]) -> "Hosts":
        """Return the allowed names of a server.

        Args:
            host: Name or address that the user told the server to listen on.
            address: Address that the system resolved it to.
            allowed: Further names, such as that of a proxy.
        """
        names = {host, address, "localhost", "127.0.0.1", "::1", *allowed}
        # Other machines use the names of this one.
        if not _is_loopback(address):
            names |= {socket.gethostname(), socket.getfqdn()}
        return cls(address=address, names=frozenset(name.lower().strip("[]").rstrip(".") for name in names))

    @property
    def are_exposed(self) -> bool:
        """True if other machines can reach the server."""
        return not _is_loopback(self.address)

    def allow(self, header: str) -> bool:
        """Return whether a request with this Host header may be answered."""
        # A machine may have addresses that are not known here, such as that of a container's host. Any address will do.
        name = _without_port(header).lower().rstrip(".")
        return name in self.names or (self.are_exposed and _is_address(name))


def host_name(allowed: str) -> str:
    """Return a host name as browsers send it, in lower case and ASCII.

    >>> host_name("Bücher.example")
    'xn--bcher-kva.example'

    Raises:
        ConfigError: The text is neither the name nor the address of a host.
    """
    # IPv6 addresses may be written with brackets, as in a URL.
    for address in (allowed, allowed.removeprefix("[").removesuffix("]")):
        if _is_address(address):
            return address
    try:
        encoded = allowed.encode("idna").decode().lower()
    except UnicodeError:
        encoded = ""
    if not NAME.fullmatch(encoded):
        raise ConfigError(
            "--allow-host takes the name or address of one host, such as studies.example.org, without scheme, port, path or *;"
            f" {allowed!r} is not one"
        )
    return encoded


def in_url(host: str) -> str:
    """Return a host as it is written in a URL.

    >>> in_url("::1")
    '[::1]'
    """
    return f"[{host}]" if ":" in host else host


def _without_port(header: str) -> str:
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(address: str) -> bool:
    return _is_address(address) and ipaddress.ip_address(address).is_loopback
