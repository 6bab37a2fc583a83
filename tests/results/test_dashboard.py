import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from faqnas_optuna.errors import ConfigError
from faqnas_optuna.results.dashboard import make_dashboard
from faqnas_optuna.search.study import Search
from faqnas_optuna.storage.opening import open_storage
from tests.conftest import TIMEOUT_S


@pytest.fixture
def address(search_of_eight: Search, storage_url: str) -> Iterator[str]:
    with make_dashboard(open_storage(storage_url), host="127.0.0.1", port=0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(timeout=TIMEOUT_S)


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:
        text: str = response.read().decode()
        return text


def test_the_study_is_on_the_dashboard(address: str) -> None:
    assert "<title>Optuna Dashboard</title>" in get(f"{address}/dashboard")
    (summary,) = json.loads(get(f"{address}/api/studies"))["study_summaries"]
    assert (summary["study_name"], summary["directions"]) == ("iris", ["minimize", "minimize"])
    study = json.loads(get(f"{address}/api/studies/{summary['study_id']}?after=0"))
    assert len(study["trials"]) == 8
    assert study["objective_names"] == ["quantum FLOPs", "validation error"]


@pytest.mark.parametrize("method", ["DELETE", "POST", "PUT"])
def test_nothing_can_be_changed_from_the_page(address: str, method: str, storage_url: str) -> None:
    request = urllib.request.Request(f"{address}/api/studies/1", method=method, data=b"{}")
    with pytest.raises(urllib.error.HTTPError, match="403") as refused:
        urllib.request.urlopen(request, timeout=TIMEOUT_S)
    refused.value.close()
    assert len(json.loads(get(f"{address}/api/studies"))["study_summaries"]) == 1


def test_a_port_in_use_is_named(address: str, storage_url: str) -> None:
    port = int(address.rpartition(":")[2])
    with pytest.raises(
        ConfigError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use; choose another with --port"
    ):
        make_dashboard(open_storage(storage_url), host="127.0.0.1", port=port)
