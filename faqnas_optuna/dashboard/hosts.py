"""By which names a server may be called.

A page from elsewhere can let its own name point to this machine (DNS rebinding), and would then read what is served here as its
own. It cannot choose the name that the browser sends, nor can it be an address: so whoever is called by another name is silent.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from faqnas_optuna.errors import ConfigError

LABEL = "[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?"
NAME = re.compile(rf"{LABEL}(\.{LABEL})*\.?")
"""Of a host; older systems also have an underscore in it."""


@dataclass(frozen=True, kw_only=True)
class Hosts:
    """Who may be asked for, at the address that is listened on."""

    address: str
    names: frozenset[str]
    """Lower-case."""

    @classmethod
    def of(cls, host: str, address: str, allowed: Iterable[str]) -> "Hosts":
        """Those of a server.

        Args:
            host: as the user named it.
            address: as the system has it.
            allowed: what a proxy or a name server calls it.
        """
        names = {host, address, "localhost", "127.0.0.1", "::1", *allowed}
        if not _is_loopback(address):
            names |= {socket.gethostname(), socket.getfqdn()}
        return cls(address=address, names=frozenset(name.lower().strip("[]").rstrip(".") for name in names))

    @property
    def are_exposed(self) -> bool:
        """Whether other machines can reach the server."""
        return not _is_loopback(self.address)

    def allow(self, header: str) -> bool:
        """Whether a request with this `Host` may be answered; to the outside any address is right, but no foreign name."""
        name = _without_port(header).lower().rstrip(".")
        return name in self.names or (self.are_exposed and _is_address(name))


def host_name(allowed: str) -> str:
    """Return a name as browsers send it, in ASCII.

    Raises:
        ConfigError: it is neither the name nor the address of one host.
    """
    for address in (allowed, allowed.removeprefix("[").removesuffix("]")):
        if _is_address(address):
            return address
    try:
        encoded = allowed.encode("idna").decode().lower()
    except UnicodeError:
        encoded = ""
    if not NAME.fullmatch(encoded):
        raise ConfigError(
            "--allow-host takes the name or address of one host, as studies.example.org, without scheme, port, path or *;"
            f" {allowed!r} is not one"
        )
    return encoded


def in_url(host: str) -> str:
    """A host as it stands in a URL."""
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
