"""Small builders of PromQL expressions from catalogue entries: strings out, no client needed.

Every builder checks label names and values against the catalogue, so a board or rule that asks for
a label that is not there fails while it is built. Ledger metrics are the same on every replica of
insight: `max without (instance)` is taken before any sum, always.
"""

from collections.abc import Iterable, Mapping

from telemetry.catalogue.spec import SLO, CatalogueError, Matcher, Metric, Selection

Labels = str | tuple[str, ...] | Matcher


def selector(metric: Metric, *matchers: Matcher, suffix: str = "", **labels: Labels) -> str:
    """`name{label="value"}`; a tuple of values becomes an anchored alternative.

    >>> from telemetry.catalogue.checkout import CHECKOUT_HOLD_ATTEMPTS
    >>> selector(CHECKOUT_HOLD_ATTEMPTS, outcome="ok")
    'checkout_hold_attempts_total{outcome="ok"}'
    """
    return _series(metric, matchers, suffix, labels)


def rate(
    metric: Metric, *matchers: Matcher, window: str = "5m", by: Iterable[str] = (), **labels: Labels
) -> str:
    """Events per second over `window`, summed, or summed `by` labels. Histograms count events."""
    return _summed(metric, "rate", matchers, window, by, labels)


def increase(
    metric: Metric, *matchers: Matcher, window: str = "1h", by: Iterable[str] = (), **labels: Labels
) -> str:
    """Events over `window`, extrapolated as Prometheus does; exact periods come from the ledger."""
    return _summed(metric, "increase", matchers, window, by, labels)


def value(
    metric: Metric,
    *matchers: Matcher,
    by: Iterable[str] = (),
    aggregate: str = "sum",
    **labels: Labels,
) -> str:
    """The present value of a gauge or counter, aggregated over everything that is not in `by`."""
    return _aggregate(metric, _series(metric, matchers, "", labels), by, aggregate)


def forecast(
    metric: Metric, *, seconds: int, window: str, by: Iterable[str] = (), aggregate: str = "min"
) -> str:
    """What a gauge will be in so many seconds if it goes on as it did over `window`."""
    inner = f"predict_linear({selector(metric)}[{window}], {seconds})"
    return _aggregate(metric, inner, by, aggregate)


def ratio(part: str, whole: str) -> str:
    """`part / whole`, with no answer (rather than NaN) where the whole is zero."""
    return f"({part}) / (({whole}) > 0)"


def quantile(
    q: float,
    metric: Metric,
    *matchers: Matcher,
    window: str = "5m",
    by: Iterable[str] = (),
    **labels: Labels,
) -> str:
    """The `q` quantile (0 to 1) of a histogram, estimated within its buckets."""
    if metric.kind != "histogram" or not 0 <= q <= 1:
        raise CatalogueError(f"{metric.name}: a quantile between 0 and 1 of a histogram")
    _known(metric, by)
    buckets = _series(metric, matchers, "_bucket", labels)
    keep = ("le", *by)
    inner = _one_replica(metric, f"rate({buckets}[{window}])")
    return f"histogram_quantile({q}, sum by ({', '.join(keep)}) ({inner}))"


def mean(
    metric: Metric, *matchers: Matcher, window: str = "5m", by: Iterable[str] = (), **labels: Labels
) -> str:
    """The mean observation of a histogram over `window`."""
    _known(metric, by)
    sums = _series(metric, matchers, "_sum", labels)
    total = _aggregate(metric, f"rate({sums}[{window}])", by)
    return ratio(total, _summed(metric, "rate", matchers, window, by, labels))


def selected(selection: Selection, window: str, by: Iterable[str] = ()) -> str:
    """Events per second of an SLO's selection."""
    if selection.at_most is None:
        return rate(selection.metric, *selection.matchers, window=window, by=by)
    _known(selection.metric, by)
    edge = Matcher("le", "=", bucket_edge(selection.at_most))
    name = selector(selection.metric, *selection.matchers, edge, suffix="_bucket")
    return _aggregate(selection.metric, f"rate({name}[{window}])", by)


def good_ratio(slo: SLO, window: str) -> str:
    """The fraction of good events (or of time, the worst series counting) over `window`."""
    if slo.fresh is not None:
        age = f"time() - {value(slo.fresh, by=slo.fresh.label_names, aggregate='max')}"
        return f"min(avg_over_time(({age} < bool {slo.threshold_seconds:g})[{window}:1m]))"
    if slo.good is None or slo.total is None:
        raise CatalogueError(f"{slo.name}: neither fresh nor counted")
    total = selected(slo.total, window)
    # Without `or`, a service that never had a good event would have no ratio, so no alert either.
    return ratio(f"{selected(slo.good, window)} or 0 * {total}", total)


def error_ratio(slo: SLO, window: str) -> str:
    """The fraction of bad events over `window`: what burn-rate rules compare with the budget."""
    return f"1 - {good_ratio(slo, window)}" if slo.fresh else f"1 - ({good_ratio(slo, window)})"


def bucket_edge(edge: float) -> str:
    """`le` as prometheus-client writes it: always a float."""
    return repr(float(edge))


def _matcher(name: str, wanted: Labels) -> Matcher:
    if isinstance(wanted, Matcher):
        return wanted
    if isinstance(wanted, tuple):
        return Matcher(name, "=~", "|".join(wanted))
    return Matcher(name, "=", wanted)


def _series(
    metric: Metric, matchers: tuple[Matcher, ...], suffix: str, labels: Mapping[str, Labels]
) -> str:
    found = [*matchers, *(_matcher(name, wanted) for name, wanted in labels.items())]
    plain = tuple(matcher for matcher in found if matcher.label != "le")
    if metric.kind in {"counter", "histogram"}:
        Selection(metric, plain)
    else:
        for matcher in plain:
            metric.label(matcher.label)
    inside = ",".join(str(matcher) for matcher in found)
    return f"{metric.name}{suffix}{{{inside}}}" if inside else f"{metric.name}{suffix}"


def _summed(
    metric: Metric,
    function: str,
    matchers: tuple[Matcher, ...],
    window: str,
    by: Iterable[str],
    labels: dict[str, Labels],
) -> str:
    if metric.kind not in ("counter", "histogram"):
        raise CatalogueError(f"{metric.name}: {function}() needs a counter, not a {metric.kind}")
    suffix = "_count" if metric.kind == "histogram" else ""
    series = _series(metric, matchers, suffix, labels)
    return _aggregate(metric, f"{function}({series}[{window}])", by)


def _aggregate(metric: Metric, inner: str, by: Iterable[str], aggregate: str = "sum") -> str:
    names = tuple(by)
    _known(metric, names)
    grouping = f" by ({', '.join(names)}) " if names else ""
    return f"{aggregate}{grouping}({_one_replica(metric, inner)})"


def _one_replica(metric: Metric, inner: str) -> str:
    return f"max without (instance) ({inner})" if metric.source == "ledger" else inner


def _known(metric: Metric, names: Iterable[str]) -> None:
    for name in names:
        if name != "instance":
            metric.label(name)
