import pytest
from sqlalchemy.exc import OperationalError

from faqnas_optuna.storage.outages import advice, is_transient, may_come_up

CREATE = "create it"
ENCRYPTION = "check the encryption options in the URL"
CONNECTIONS = "raise the server's limit of connections"
REACH = "check host and port"


def error(reason: str) -> OperationalError:
    return OperationalError("SELECT 1", None, Exception(reason))


@pytest.mark.parametrize(
    ("reason", "expected", "is_awaited"),
    [
        ('FATAL:  database "studies" does not exist', CREATE, False),
        ('root certificate file "/home/me/ca.pem" does not exist', ENCRYPTION, False),
        ('private key file "/home/me/key" has group or world access', ENCRYPTION, False),
        ("server does not support SSL, but SSL was required", ENCRYPTION, False),
        ("SSL connection has been closed unexpectedly", REACH, True),
        ('FATAL:  role "me" does not exist', "check user and password", False),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1"', "ask the administrator", False),
        ("permission denied for schema public", "ask the owner of the database", False),
        ("FATAL:  sorry, too many clients already", CONNECTIONS, True),
        ("FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute", CONNECTIONS, True),
        ("(1040, 'Too many connections')", CONNECTIONS, True),
        ("FATAL:  no more connections allowed (max_client_conn)", CONNECTIONS, True),
        ("FATAL:  the database system is starting up", REACH, True),
        ("failed to resolve host 'db': [Errno -3] Temporary failure in name resolution", REACH, True),
        ("failed to resolve host 'db': [Errno -2] Name or service not known", REACH, False),
        ("(2003, \"Can't connect to MySQL server on 'db' ([Errno -2] Name or service not known)\")", REACH, False),
        ("cannot execute INSERT in a read-only transaction", "it is read-only", False),
        ("attempt to write a readonly database", "you have no write access", False),
    ],
)
def test_advice_and_waiting_follow_from_the_reason(reason: str, expected: str, is_awaited: bool) -> None:
    assert (advice(error(reason)) or "").startswith(expected)
    assert may_come_up(error(reason)) is is_awaited


def test_a_server_in_use_may_take_changes_again() -> None:
    """Classify errors of a standby that takes over and of a short name server failure as transient."""
    assert is_transient(error("cannot execute INSERT in a read-only transaction"))
    assert is_transient(error("failed to resolve host 'db': [Errno -2] Name or service not known"))
    assert not is_transient(error("attempt to write a readonly database"))
