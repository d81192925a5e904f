"""What operators see: whether the server lives and how it fares, and nothing of any patient."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.accounts import Accounts, add_user
from app.metrics import Metrics
from app.operator_pages import operator_routes, watch_server
from app.server import RunningApp
from app.store import SessionStore

PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def client(running: RunningApp) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.url) as opened:
        yield opened


def samples(text: str) -> dict[str, float]:
    return {
        sample.name + "".join(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_health_says_that_the_server_answers(client: httpx.Client) -> None:
    answer = client.get("health")
    assert (answer.status_code, answer.text) == (200, "ok\n")


def test_metrics_count_scans_and_clicks_and_name_nobody(
    client: httpx.Client, running: RunningApp, blob: Path
) -> None:
    before = samples(client.get("metrics").text)
    patient = blob.rename(blob.with_name("Jane_Doe_1970.nii.gz"))
    program = Client(running.url, verbose=False)
    program.predict(handle_file(str(patient)), api_name="/load")
    for i in (4, 5):
        program.predict(i, 25, 8, "fg", api_name="/click")
    answer = client.get("metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    after = samples(answer.text)
    for name, change in {
        "caiseg_sessions": 1,
        "caiseg_scans_held": 1,
        "caiseg_bytes_held": 11 * 24 * 30 * 10 * 2,
        "caiseg_click_seconds_count": 2,
        "caiseg_encode_seconds_count": 1,
        "caiseg_errors_total": 0,
    }.items():
        assert after[name] - before[name] == change, name
    assert after["caiseg_bytes_budget"] == 2**30
    assert after["caiseg_queue_length"] == 0
    assert after["process_resident_memory_bytes"] > 0
    assert "Jane" not in answer.text
    assert program.session_hash not in answer.text


def test_faults_are_counted() -> None:
    metrics = Metrics()
    watch_server(metrics, SessionStore(1, 1, 1), lambda: 7)
    logging.getLogger("app.handlers").error("A request failed")
    counted = samples(metrics.text().decode())
    assert counted["caiseg_errors_total"] == 1
    assert counted["caiseg_queue_length"] == 7


def test_where_there_are_accounts_metrics_are_for_those_who_log_in(tmp_path: Path) -> None:
    add_user(tmp_path / "users", "prometheus", PASSWORD)
    routes = operator_routes(Metrics(), Accounts(tmp_path / "users").admits)
    client = TestClient(Starlette(routes=routes))
    assert client.get("/health").status_code == 200
    refused = client.get("/metrics")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Basic")
    assert "caiseg_" not in refused.text
    for name, password in (("prometheus", "wrong horse"), ("nobody", PASSWORD), ("", "")):
        assert client.get("/metrics", auth=(name, password)).status_code == 401
    for header in ("Basic", "Basic !!", "Bearer cHJvbWV0aGV1czpjb3JyZWN0IGhvcnNl", "Basic /w=="):
        assert client.get("/metrics", headers={"Authorization": header}).status_code == 401
    admitted = client.get("/metrics", auth=("prometheus", PASSWORD))
    assert "caiseg_click_seconds_count" in admitted.text
