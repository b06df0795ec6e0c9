"""What Prometheus reads: requests, images, charges, times, and what is left of each budget."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

_PREFIX = "edgerift"
#: Seconds, from a small network on a fast machine to a queue that waits.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


@final
class Metrics:
    """The figures of one server, in a registry of its own."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        """Begin at zero."""
        self._registry = CollectorRegistry()
        self._counters: dict[tuple[str, ...], Counter] = {}
        known = self._registry
        self._requests = Counter(f"{_PREFIX}_requests", "Inference requests", ["client", "status"], registry=known)
        self._images = Counter(f"{_PREFIX}_images", "Images answered", ["client"], registry=known)
        self._charged = Counter(f"{_PREFIX}_charged_images", "Images paid for", ["client"], registry=known)
        told = "Seconds to answer a request"
        self._seconds = Histogram(f"{_PREFIX}_request_seconds", told, buckets=_SECONDS, registry=known)
        told = "Images left of the budget"
        self._remaining = Gauge(f"{_PREFIX}_budget_remaining_images", told, ["client"], registry=known)
        told = "Whether the client's monitor has alarmed"
        self._alarms = Gauge(f"{_PREFIX}_monitor_alarm", told, ["client"], registry=known)

    def requested(self, client: str, status: int, images: int, seconds: float) -> None:
        """Count a request and the time that it took."""
        self._counter(self._requests, client, str(status)).inc()
        if status == 200:
            self._counter(self._images, client).inc(images)
            self._seconds.observe(seconds)

    def _counter(self, family: Counter, *labels: str) -> Counter:
        """Return the counter of labels, which are checked when they are new."""
        # The two families have different numbers of labels.
        if labels not in self._counters:
            self._counters[labels] = family.labels(*labels)
        return self._counters[labels]

    def charged(self, client: str) -> Callable[[int], None]:
        """Make what counts a client's charges."""
        return self._charged.labels(client).inc

    def watch_budget(self, client: str, remaining: Callable[[], float]) -> None:
        """Show what is left of a client's budget whenever the metrics are read."""
        self._remaining.labels(client).set_function(remaining)

    def watch_alarm(self, client: str, has_alarmed: Callable[[], float]) -> None:
        """Show whether a client's monitor has alarmed whenever the metrics are read."""
        self._alarms.labels(client).set_function(has_alarmed)

    def text(self) -> bytes:
        """Write them in the text format of Prometheus."""
        return generate_latest(self._registry)
