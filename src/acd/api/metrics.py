"""The floor in Prometheus' words. Everything is read from the ports at the time of the scrape; nothing is kept twice.

Only the HTTP server's own counts live here, because nobody else knows them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from acd.domain.errors import StoreError
from acd.domain.ports import FloorPort

Counters = Callable[[], Mapping[str, float]]

#: What a node's "state" says when calls can be offered there.
NODE_UP = "up"

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class HttpCounts:
    """What the HTTP server counts about itself. Labels are bounded: routes are those of the application."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "acd_http_requests",
            "Requests answered, by route, method and status",
            ["route", "method", "status"],
            registry=registry,
        )
        self.malformed = Counter("acd_http_malformed", "Requests that were not HTTP", registry=registry)
        self.turned_away = Counter(
            "acd_http_turned_away",
            "Connections closed unserved: too many at once, or silent",
            ["why"],
            registry=registry,
        )

    def request(self, route: str, method: str, status: int) -> None:
        self.requests.labels(route, method if method in _METHODS else "other", str(status)).inc()


def _gauge(name: str, text: str, value: float | None) -> Metric:
    """A gauge; one that is not known (``None``) has no sample."""
    family = GaugeMetricFamily(name, text)
    if value is not None:
        family.add_metric([], float(value))
    return family


def _gauges(name: str, text: str, values: Mapping[str, Any], label: str) -> Metric:
    """A gauge for each value of ``label``; those not known (``None``) are left out."""
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        if value is not None:
            family.add_metric([str(key)], float(value))
    return family


def _counter(name: str, text: str, values: Mapping[str, Any], label: str) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([str(key)], float(value or 0))
    return family


_LEVELS = {"calm": 0, "reserve": 1, "recall": 2}


class CampaignCollector(Collector):
    """Reads campaigns when scraped; while they are not known (the database is away at a start), nothing."""

    def __init__(self, campaigns: Callable[[], list[dict[str, Any]]]) -> None:
        self._campaigns = campaigns

    def describe(self) -> list[Metric]:
        """As FloorCollector's."""
        return []

    def collect(self) -> Iterator[Metric]:
        try:
            rows = self._campaigns()
        except StoreError:
            return
        running = {row["name"]: row["state"] == "running" for row in rows}
        yield _gauges("acd_campaign_running", "1 while the campaign dials", running, "campaign")
        lines = GaugeMetricFamily("acd_campaign_lines", "Lines by what they do", labels=["campaign", "state"])
        outcomes = CounterMetricFamily("acd_campaign_attempts", "Attempts settled", labels=["campaign", "outcome"])
        refusals = CounterMetricFamily("acd_campaign_refusals", "Refused by the gate", labels=["campaign", "reason"])
        for row in rows:
            for state in ("ringing", "waiting", "connected", "machines"):
                lines.add_metric([row["name"], state], float(row[state]))
            for family, counts in ((outcomes, row["outcomes"]), (refusals, row["refusals"])):
                for word, count in counts.items():
                    family.add_metric([row["name"], word], float(count))
        yield from (lines, outcomes, refusals)
        kept = {row["name"]: sum(one["kept"] for one in row["inbound"].values()) for row in rows}
        yield _gauges("acd_campaign_agents_kept", "Agents kept from the campaign for callers", kept, "campaign")
        levels = {queue: _LEVELS.get(one["level"]) for row in rows for queue, one in row["inbound"].items()}
        yield _gauges("acd_queue_blend_level", "0 calm, 1 reserves agents, 2 recalls all", levels, "queue")
        for key, name, text in (
            ("share", "acd_campaign_abandonment_ratio", "Charged of answered, in the tightest window"),
            ("cap", "acd_campaign_abandonment_cap_ratio", "What the law allows there"),
            ("slack", "acd_campaign_abandonment_slack", "People who may still be abandoned in it"),
        ):
            yield _gauges(name, text, {row["name"]: row["ledger"][key] for row in rows}, "campaign")
        rates = {row["name"]: row["answer_rate"] for row in rows}
        yield _gauges("acd_campaign_answer_ratio", "Share of lines that people answer, as reckoned", rates, "campaign")


class FloorCollector(Collector):
    """Reads the floor when scraped. ``counters`` are further ones, by name, such as the adapters keep."""

    def __init__(self, floor: FloorPort, version: str, counters: Counters | None = None) -> None:
        self._floor, self._version, self._counters = floor, version, counters

    def describe(self) -> list[Metric]:
        """Nothing: so that registering does not scrape a floor that has not started yet."""
        return []

    def collect(self) -> Iterator[Metric]:
        status = self._floor.status()
        seen = {"acd_http_requests", "acd_http_malformed", "acd_http_turned_away"}
        for family in (*self._of_service(status), *self._of_queues(self._floor.queues())):
            seen.add(family.name)
            yield family
        yield from self._of_counters(status, seen)

    def _of_service(self, status: Mapping[str, Any]) -> Iterator[Metric]:
        yield _gauges("acd_info", "The running version", {self._version: 1}, "version")
        yield _gauge("acd_start_time_seconds", "When this life began, UTC", status["started_at"])
        nodes = {node["name"]: node["state"] == NODE_UP for node in status["nodes"]}
        yield _gauges("acd_node_up", "1 if the node can take calls", nodes, "node")
        yield _gauges("acd_agents", "Agents by state", status["agents"], "state")
        yield _gauges("acd_phones", "Phones by state", status["phones"], "state")
        alarms: dict[str, float] = {}
        for alarm in status["alarms"]:
            alarms[alarm["kind"]] = alarms.get(alarm["kind"], 0) + (alarm.get("count") or 1)
        yield _counter("acd_alarms", "Alarms raised", alarms, "kind")
        yield _counter("acd_drift", "Times belief was corrected after Asterisk", status["drift"], "kind")
        unrouted = CounterMetricFamily("acd_calls_unrouted", "Calls to a number without an entry point")
        unrouted.add_metric([], float(status.get("unrouted") or 0))
        yield unrouted
        lag = status["loop_lag_ms"]
        quantiles = {
            label: lag[key] / 1000 for label, key in (("0.99", "p99"), ("1", "max")) if lag.get(key) is not None
        }
        yield _gauges("acd_loop_lag_seconds", "How late the event loop runs", quantiles, "quantile")
        database = status["database"]
        lag_ms = database.get("lag_ms")
        yield _gauge("acd_database_up", "1 if records go straight to the database", database.get("state") == "ok")
        yield _gauge("acd_database_lag_seconds", "How long records wait to be durable", lag_ms and lag_ms / 1000)
        yield from self._of_journal(status.get("journal") or {})
        yield _gauge("acd_spill_bytes", "On disk, yet to be taken by the database", database.get("spilled_bytes"))

    def _of_journal(self, journal: Mapping[str, Any]) -> Iterator[Metric]:
        """Nothing while journalling is switched off."""
        if journal.get("state", "off") == "off":
            return
        yield _gauge("acd_journal_up", "1 while everything is journalled", journal["state"] == "writing")
        yield _gauge("acd_journal_waiting", "Events that wait to be written to the journal", journal["waiting"])
        events = CounterMetricFamily("acd_journal_events", "Events written to the journal")
        events.add_metric([], float(journal["events"]))
        yield events

    def _of_queues(self, queues: list[dict[str, Any]]) -> Iterator[Metric]:
        for key, name, text in (
            ("waiting", "acd_calls_waiting", "Calls waiting now"),
            ("talking", "acd_calls_talking", "Conversations now"),
            ("longest_wait_s", "acd_longest_wait_seconds", "The longest present wait"),
            ("service_level", "acd_service_level_ratio", "Share answered within the queue's threshold"),
            ("asa_s", "acd_asa_seconds", "Average speed of answer"),
            ("aht_s", "acd_aht_seconds", "Average handling time"),
        ):
            yield _gauges(name, text, {queue["name"]: queue.get(key) for queue in queues}, "queue")
        yield from self._of_estimates(queues)
        for key in ("offered", "answered", "abandoned", "overflowed", "transferred", "lost_track"):
            values = {queue["name"]: queue.get(key) for queue in queues}
            yield _counter(f"acd_calls_{key}", f"Calls {key} since the start", values, "queue")

    def _of_estimates(self, queues: list[dict[str, Any]]) -> Iterator[Metric]:
        """What a caller who found nobody free now would wait, and how right such estimates were."""
        expected = {queue["name"]: queue.get("expected_wait") or {} for queue in queues}
        for key, name, text in (
            ("wait_s", "acd_expected_wait_seconds", "What a caller who found nobody free now would wait"),
            ("low_s", "acd_expected_wait_low_seconds", "The lower end of its likely range"),
            ("high_s", "acd_expected_wait_high_seconds", "The upper end of its likely range"),
        ):
            yield _gauges(name, text, {queue: found.get(key) for queue, found in expected.items()}, "queue")
        accuracy = {queue["name"]: queue.get("estimates") or {} for queue in queues}
        for key, name, text in (
            (
                "relative_error",
                "acd_expected_wait_error_ratio",
                "Error of late of the expected waits, of the mean wait",
            ),
            ("held", "acd_expected_wait_held_ratio", "Share of late of waits that ended within the range announced"),
        ):
            yield _gauges(name, text, {queue: found.get(key) for queue, found in accuracy.items()}, "queue")
        measured = {queue: found.get("measured") for queue, found in accuracy.items()}
        yield _counter(
            "acd_expected_waits_measured", "Expected waits that were held against the real ones", measured, "queue"
        )

    def _of_counters(self, status: Mapping[str, Any], seen: set[str]) -> Iterator[Metric]:
        counters = {**status["counters"], **(self._counters() if self._counters else {})}
        for key in sorted(counters):
            name = "acd_" + re.sub(r"[^a-zA-Z0-9_]", "_", key).removeprefix("acd_").removesuffix("_total")
            if name in seen:
                name = name.replace("acd_", "acd_counter_", 1)
            if name not in seen:
                seen.add(name)
                family = CounterMetricFamily(name, f"Counter {key!r}")
                family.add_metric([], float(counters[key]))
                yield family
