"""Puts the metrics of several workers together; each sample gets a label with its worker."""

from collections.abc import Iterator, Mapping

from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

LABEL = "worker"


def merge(texts: Mapping[str, bytes]) -> bytes:
    """Return the metrics of all workers in the text format of Prometheus.

    `texts` has the metrics of each worker in that format. Counters are not added up: when a worker
    is replaced its counters start at 0, and in a sum nobody could tell.
    """
    families: dict[str, Metric] = {}
    for worker, text in texts.items():
        for family in text_string_to_metric_families(text.decode()):
            merged = families.setdefault(
                family.name, Metric(family.name, family.documentation, family.type)
            )
            merged.samples += [
                sample._replace(labels={**sample.labels, LABEL: worker})
                for sample in family.samples
            ]
    return generate_latest(_Families(families))


class _Families(Collector):
    def __init__(self, families: Mapping[str, Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families.values()
