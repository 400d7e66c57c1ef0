"""The scrape, read back with Prometheus' own parser."""

from __future__ import annotations

import aiohttp
import pytest
from fakefloor import FakeFloor, FakeRecords
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from acd.api import make_app


async def scrape(http: aiohttp.ClientSession) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    async with http.get("/metrics") as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain")
        text = await response.text()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    keyed = {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in samples}
    assert len(keyed) == len(samples), "a sample stands twice"
    return keyed


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("acd_calls_waiting", {"queue": "support"}, 2),
        ("acd_calls_offered_total", {"queue": "support"}, 120),
        ("acd_calls_answered_total", {"queue": "sales"}, 40),
        ("acd_calls_abandoned_total", {"queue": "support"}, 9),
        ("acd_calls_overflowed_total", {"queue": "support"}, 1),
        ("acd_calls_lost_track_total", {"queue": "support"}, 0),
        ("acd_calls_unrouted_total", {}, 1),
        ("acd_longest_wait_seconds", {"queue": "support"}, 29),
        ("acd_service_level_ratio", {"queue": "support"}, 0.815),
        ("acd_expected_wait_seconds", {"queue": "support"}, 45),
        ("acd_expected_wait_low_seconds", {"queue": "support"}, 20),
        ("acd_expected_wait_high_seconds", {"queue": "support"}, 110),
        ("acd_expected_wait_error_ratio", {"queue": "support"}, 0.234),
        ("acd_expected_wait_held_ratio", {"queue": "support"}, 0.9),
        ("acd_expected_waits_measured_total", {"queue": "support"}, 120),
        ("acd_agents", {"state": "TALKING"}, 4),
        ("acd_phones", {"state": "IDLE"}, 7),
        ("acd_drift_total", {"kind": "phone_state"}, 3),
        ("acd_alarms_total", {"kind": "node_lost"}, 2),
        ("acd_loop_lag_seconds", {"quantile": "0.99"}, 0.0012),
        ("acd_spill_bytes", {}, 0),
        ("acd_database_up", {}, 1),
        ("acd_database_lag_seconds", {}, 0.0042),
        ("acd_node_up", {"node": "pbx1"}, 1),
        ("acd_node_up", {"node": "pbx2"}, 0),
        ("acd_ami_events_total", {}, 4711),
        ("acd_agi_sessions_total", {}, 12),
        ("acd_counter_calls_offered_total", {}, 5),
        ("acd_spill_replays_total", {}, 2),
        ("acd_info", {"version": "9.9"}, 1),
    ],
)
async def test_the_floor_in_figures(
    http: aiohttp.ClientSession, name: str, labels: dict[str, str], value: float
) -> None:
    assert (await scrape(http))[name, tuple(sorted(labels.items()))] == pytest.approx(value)


async def test_a_journal_has_figures_while_there_is_one(http: aiohttp.ClientSession, floor: FakeFloor) -> None:
    assert not [name for name, _ in await scrape(http) if "journal" in name]
    floor.journal = {"state": "writing", "file": "f", "events": 70, "waiting": 3, "detail": ""}
    samples = await scrape(http)
    names = ("acd_journal_up", "acd_journal_events_total", "acd_journal_waiting")
    assert [samples[name, ()] for name in names] == [1, 70, 3]
    floor.journal["state"] = "stopped"
    assert (await scrape(http))["acd_journal_up", ()] == 0


async def test_what_is_not_known_is_left_out(http: aiohttp.ClientSession) -> None:
    samples = await scrape(http)
    for name in ("acd_service_level_ratio", "acd_expected_wait_seconds", "acd_expected_wait_error_ratio"):
        assert (name, (("queue", "billing"),)) not in samples


async def test_requests_are_counted_by_route_and_not_by_path(http: aiohttp.ClientSession) -> None:
    for path in ("/v1/agents/anna", "/v1/agents/bert", "/v1/agents/nobody", "/nowhere", "/elsewhere"):
        (await http.get(path)).release()
    (await http.request("TRACE", "/v1/status")).release()
    samples = await scrape(http)
    count = "acd_http_requests_total"
    agent = ("method", "GET"), ("route", "/v1/agents/{name}")
    assert samples[count, (*agent, ("status", "200"))] == 2
    assert samples[count, (*agent, ("status", "404"))] == 1
    assert samples[count, (("method", "GET"), ("route", "none"), ("status", "404"))] == 2
    assert samples[count, (("method", "other"), ("route", "none"), ("status", "405"))] == 1


async def test_open_metrics_is_spoken_when_asked_for(http: aiohttp.ClientSession) -> None:
    async with http.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}) as response:
        assert response.headers["Content-Type"].startswith("application/openmetrics-text")
        assert (await response.text()).endswith("# EOF\n")


def test_a_given_registry_is_used_and_labels_are_escaped() -> None:
    floor, registry = FakeFloor(), CollectorRegistry()
    floor.queue_list[0]["name"] = 'a"b\\c\nd'
    make_app(floor, FakeRecords(), version="1", registry=registry)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    waiting = next(family for family in families if family.name == "acd_calls_waiting")
    assert waiting.samples[0].labels == {"queue": 'a"b\\c\nd'}
