from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from consumer.dead_letter import STAGES
from consumer.metrics import CountMetrics, LabelMetrics, RelabelMetrics

SHARED = {
    "placestream_expired_records_total",
    "placestream_last_progress_timestamp_seconds",
    "placestream_build_info",
}
LABEL = SHARED | {
    "placestream_posts_total",
    "placestream_broader_posts_total",
    "placestream_cut_pictures_total",
    "placestream_dead_letters_total",
    "placestream_stage_seconds",
    "placestream_batch_posts",
    "placestream_batch_closed_total",
    "placestream_text_encodings_total",
    "placestream_transactions_total",
    "placestream_resyncs_total",
    "placestream_end_to_end_seconds",
    "placestream_consumer_lag_records",
    "placestream_oldest_waiting_seconds",
    "placestream_committed_offset",
    "placestream_assigned_partitions",
    "placestream_stuck_partitions",
    "placestream_topic_partitions",
    "placestream_places_info",
}
RELABEL = LABEL | {"placestream_captions_missing_total"}

COUNT = SHARED | {
    "placestream_counted_posts_total",
    "placestream_capped_posts_total",
    "placestream_counter_applications_total",
    "placestream_counter_lag_records",
    "placestream_unreadable_records_total",
}


def exposed(registry: CollectorRegistry) -> str:
    return generate_latest(registry).decode()


def names(registry: CollectorRegistry) -> set[str]:
    return {line.split()[2] for line in exposed(registry).splitlines() if line.startswith("# TYPE ")} - {
        line.split()[2] for line in exposed(registry).splitlines() if line.endswith("_created gauge")
    }


def series(registry: CollectorRegistry, name: str) -> dict[tuple[str, ...], float]:
    """Label values in the order of the labels' names -> value."""
    return {
        tuple(sample.labels[label] for label in sorted(sample.labels)): sample.value
        for family in text_string_to_metric_families(exposed(registry))
        for sample in family.samples
        if sample.name == name
    }


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.mark.parametrize(
    ("metrics", "expected"), [(LabelMetrics, LABEL), (RelabelMetrics, RELABEL), (CountMetrics, COUNT)]
)
def test_these_are_the_metrics(
    metrics: Callable[[CollectorRegistry], object], expected: set[str], registry: CollectorRegistry
) -> None:
    metrics(registry)
    assert names(registry) == expected


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("placestream_posts_total", {"classified", "not_classified", "dead"}),
        ("placestream_stage_seconds_count", {"read", "decode", "encode", "publish", "image", "text"}),
        ("placestream_batch_closed_total", {"size", "deadline", "ready"}),
        ("placestream_text_encodings_total", {"done", "skipped", "no_caption"}),
        ("placestream_transactions_total", {"committed", "aborted"}),
        ("placestream_resyncs_total", {"start", "rebalance", "publish", "offset", "broker", "stuck"}),
    ],
)
def test_all_closed_labels_of_label_start_at_zero(name: str, values: set[str], registry: CollectorRegistry) -> None:
    LabelMetrics(registry)
    assert series(registry, name) == {(value,): 0 for value in values}


def test_every_reason_of_every_stage_starts_at_zero(registry: CollectorRegistry) -> None:
    LabelMetrics(registry)
    expected = {(reason, stage): 0 for stage, reasons in STAGES.items() for reason in reasons}
    assert series(registry, "placestream_dead_letters_total") == expected


def test_closed_labels_of_count_start_at_zero(registry: CollectorRegistry) -> None:
    CountMetrics(registry)
    assert series(registry, "placestream_counter_applications_total") == {("applied",): 0, ("refused",): 0}
    assert series(registry, "placestream_counted_posts_total") == {(): 0}
    assert series(registry, "placestream_unreadable_records_total") == {(): 0}


def test_the_age_of_a_post_is_measured_from_50_milliseconds_to_10_minutes(registry: CollectorRegistry) -> None:
    LabelMetrics(registry)
    bounds = [float(bound) for (bound,) in series(registry, "placestream_end_to_end_seconds_bucket")]
    assert (bounds[0], bounds[-2], bounds[-1]) == (0.05, 600, float("inf"))


def test_no_histogram_has_a_city_or_a_place(registry: CollectorRegistry) -> None:
    LabelMetrics(registry)
    labels = {
        label
        for family in text_string_to_metric_families(exposed(registry))
        if family.type == "histogram"
        for sample in family.samples
        for label in sample.labels
    }
    assert labels == {"le", "stage"}
