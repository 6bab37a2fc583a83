import socket

import pytest

from faqnas_optuna.dashboard.hosts import Hosts, host_name, in_url
from faqnas_optuna.errors import ConfigError

HERE = Hosts.of("127.0.0.1", "127.0.0.1", ())
EVERYWHERE = Hosts.of("0.0.0.0", "0.0.0.0", ["studies.example.org"])


@pytest.mark.parametrize(
    "header", ["127.0.0.1", "127.0.0.1:8080", "localhost", "LOCALHOST:8080", "localhost.:8080", "[::1]", "[::1]:8080"]
)
def test_this_machine_may_call_itself_so(header: str) -> None:
    assert HERE.allow(header)


@pytest.mark.parametrize(
    "header",
    ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "192.0.2.1", "", ":8080"],
)
def test_another_name_is_foreign(header: str) -> None:
    assert not HERE.allow(header)


@pytest.mark.parametrize(
    "header", ["192.0.2.1:8080", "[2001:db8::1]:8080", "localhost", f"{socket.gethostname()}:8080", "Studies.Example.org"]
)
def test_to_the_outside_any_address_the_machines_names_and_those_allowed_are_right(header: str) -> None:
    assert EVERYWHERE.allow(header)


@pytest.mark.parametrize("header", ["evil.example", "evil.example:8080", "example.org", "192.0.2.1.evil.example", ""])
def test_also_to_the_outside_another_name_is_foreign(header: str) -> None:
    assert not EVERYWHERE.allow(header)


def test_a_name_can_be_allowed_without_listening_to_the_outside() -> None:
    assert Hosts.of("127.0.0.1", "127.0.0.1", ["hub.example.org"]).allow("hub.example.org")


@pytest.mark.parametrize(
    ("address", "exposed"), [("127.0.0.1", False), ("127.0.1.1", False), ("::1", False), ("0.0.0.0", True)]
)
def test_what_other_machines_reach_is_exposed(address: str, exposed: bool) -> None:
    assert Hosts.of("some-name", address, ()).are_exposed is exposed


def test_an_address_of_version_six_stands_in_brackets() -> None:
    assert [in_url("::1"), in_url("127.0.0.1"), in_url("lab-1")] == ["[::1]", "127.0.0.1", "lab-1"]


@pytest.mark.parametrize(
    ("allowed", "sent"),
    [
        ("hub", "hub"),
        ("Hub.Example.org.", "hub.example.org."),
        ("münchen.example", "xn--mnchen-3ya.example"),
        ("my_lab-1.example", "my_lab-1.example"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
    ],
)
def test_a_name_is_compared_as_browsers_send_it(allowed: str, sent: str) -> None:
    assert host_name(allowed) == sent
    header = f"[{sent}]" if ":" in sent else sent
    assert Hosts.of("127.0.0.1", "127.0.0.1", [host_name(allowed)]).allow(f"{header}:8080")


@pytest.mark.parametrize(
    "allowed",
    ["", "*", "*.example.org", "hub:8080", "http://hub", "hub/studies", "a b", "-hub", "hub..org", "[hub]", "a" * 64, "\x1b"],
)
def test_what_no_browser_sends_is_refused(allowed: str) -> None:
    with pytest.raises(ConfigError, match="without scheme, port, path or") as refused:
        host_name(allowed)
    assert repr(allowed) in str(refused.value)
