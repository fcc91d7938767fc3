"""The small transformations between what compose mounts and what runs natively."""

import json

import pytest

from rigs import alertmanager, prometheus
from rigs.nginx import upstreams
from rigs.prometheus import Target


def test_a_faster_interval_changes_the_three_times_and_nothing_else() -> None:
    before = prometheus.CONFIGURATION.read_text()

    after = prometheus.at_interval(before, 1)

    changed = [
        (old.strip(), new.strip())
        for old, new in zip(before.splitlines(), after.splitlines(), strict=True)
        if old != new
    ]
    assert changed == [
        ("scrape_interval: 10s", "scrape_interval: 1s"),
        ("scrape_timeout: 5s", "scrape_timeout: 1s"),
        ("evaluation_interval: 10s", "evaluation_interval: 1s"),
    ]


def test_a_slower_interval_keeps_the_time_out_of_five_seconds() -> None:
    assert "scrape_timeout: 5s" in prometheus.at_interval(prometheus.CONFIGURATION.read_text(), 30)


def test_targets_are_written_as_prometheus_reads_them() -> None:
    text = prometheus.targets_file([Target("127.0.0.1:9100", {"component": "vitrine"})])

    assert json.loads(text) == [{"targets": ["127.0.0.1:9100"], "labels": {"component": "vitrine"}}]


def test_every_webhook_of_compose_is_redirected() -> None:
    changed = alertmanager.with_receiver(
        alertmanager.CONFIGURATION.read_text(), "http://127.0.0.1:9100/"
    )

    assert "http://insight" not in changed
    assert "http://127.0.0.1:9100/internal/insight/alerts" in changed


def test_a_configuration_that_tells_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="no webhook"):
        alertmanager.with_receiver("receivers: []", "http://127.0.0.1:9100")


def test_group_waits_are_shortened_and_repeats_are_not() -> None:
    text = "group_wait: 10s\n    group_interval: 1m # why\nrepeat_interval: 4h\n"

    assert alertmanager.with_group_wait(text, 1) == (
        "group_wait: 1s\n    group_interval: 1s # why\nrepeat_interval: 4h\n"
    )


def test_upstreams_name_every_service() -> None:
    assert upstreams({"catalog": "127.0.0.1:1", "advisor": "127.0.0.1:2 127.0.0.1:3"}) == (
        "upstream catalog { server 127.0.0.1:1 max_fails=0; keepalive 8; keepalive_timeout 4s; }\n"
        "upstream advisor { server 127.0.0.1:2 max_fails=0; server 127.0.0.1:3 max_fails=0;"
        " keepalive 8; keepalive_timeout 4s; }\n"
    )
