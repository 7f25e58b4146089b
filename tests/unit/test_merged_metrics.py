"""The metrics of several workers, put together for one scrape."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from shelfsight.serving.workers.merged_metrics import merge

COUNTS = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers(1, 9))


def exposition(counts: Mapping[str, int]) -> bytes:
    registry = CollectorRegistry()
    counter = Counter("scans", "Scans answered", ["query"], registry=registry)
    seconds = Histogram("seconds", "Of a scan", buckets=[1, 5], registry=registry)
    Gauge("bytes", "Of a store", registry=registry).set(sum(counts.values()))
    for query, count in counts.items():
        counter.labels(query).inc(count)
        seconds.observe(count)
    return generate_latest(registry)


@given(st.dictionaries(st.sampled_from(["1", "2", "3"]), COUNTS))
def test_each_sample_of_each_worker_is_there_once_with_its_worker(
    workers: dict[str, dict[str, int]],
) -> None:
    merged = merge({worker: exposition(counts) for worker, counts in workers.items()})
    families = list(text_string_to_metric_families(merged.decode()))
    assert len({family.name for family in families}) == len(families)
    found = [
        (sample.name, {k: v for k, v in sample.labels.items() if k != "worker"}, sample.value)
        for worker in workers
        for family in families
        for sample in family.samples
        if sample.labels["worker"] == worker and "_created" not in sample.name
    ]
    expected = [
        (sample.name, sample.labels, sample.value)
        for counts in workers.values()
        for family in text_string_to_metric_families(exposition(counts).decode())
        for sample in family.samples
        if "_created" not in sample.name
    ]
    assert found == expected
