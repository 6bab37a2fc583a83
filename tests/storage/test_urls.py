import pytest

from faqnas_optuna.errors import StorageError
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.storage.urls import masked_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://me:s3cr%2Ft@host/db", "postgresql+psycopg://me:***@host/db"),
        ("postgresql://host/db?user=me&password=s3cret", "postgresql+psycopg://host/db?password=***&user=me"),
        ("mysql://host/db?ssl_key_password=s3cret", "mysql+pymysql://host/db?ssl_key_password=***"),
        ("postgresql:///?dbname=postgresql%3A%2F%2Fa%3As3cret%40h%2Fb", "postgresql+psycopg:///?dbname=***"),
        ("postgresql://h/db?options=-c+a.b%3Ds3cret&sslmode=require", "postgresql+psycopg://h/db?options=***&sslmode=require"),
        ("mysql://h/db?charset=utf8mb4&init_command=s3cret", "mysql+pymysql://h/db?charset=utf8mb4&init_command=***"),
        ("sqlite:////home/me@work/faqnas.db?timeout=5", "sqlite:////home/me%40work/faqnas.db?timeout=5"),
        ("postgresql://me:s3cret@%2Ftmp%2Fpg/db", "postgresql+psycopg://me:***@/db?host=%2Ftmp%2Fpg"),
        ("mysql://me:s3cret@%2Ftmp%2Fmy.sock/db", "mysql+pymysql://me:***@/db?unix_socket=%2Ftmp%2Fmy.sock"),
        ("postgresql://me@work:s3cr:et/?@host/db", "postgresql+psycopg://me%40work:***@host/db"),
    ],
)
def test_passwords_are_masked(url: str, expected: str) -> None:
    assert masked_url(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:s3cr@tPASS@127.0.0.1:1/db",
        "postgresql://me:s3cr@tPASS/more@127.0.0.1:1/db",
        "mysql://me:s3cr@tPASS?more@127.0.0.1:1/db",
        "postgresql://me:s3cr@tPASS:more@127.0.0.1:1/db",
        "postgresql:///?dbname=postgresql://a:tPASS@127.0.0.1:1/b",
    ],
)
def test_a_password_with_an_at_sign_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(StorageError, match="in a password, write %40 for @") as refused:
        open_storage(url)
    assert "tPASS" not in str(refused.value)


@pytest.mark.parametrize("scheme", ["postgres", "pgsql"])
def test_other_names_of_postgresql_are_refused_with_the_right_one(scheme: str) -> None:
    with pytest.raises(StorageError, match=f"it is {scheme}; write postgresql://"):
        open_storage(f"{scheme}://me:s3cret@host/db")


@pytest.mark.parametrize(
    "url", ["sqlite:///with?q/f.db", "postgresql://me:s3cret@host/db?sslmode", "sqlite:///f.db?timeout=5&s3cret"]
)
def test_an_option_without_a_value_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(StorageError, match=r"written NAME=VALUE, .* a \? in a path or a password is written %3F") as refused:
        masked_url(url)
    assert "s3cret" not in str(refused.value)
