"""How the runs of one file are spread, and how they went block by block.

The two plots are the same for every file: they are made once, and each file brings its data.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.profiling.report.style import INK, Spec, altair, finished
from edgecnn.profiling.report.summary import Row
from edgecnn.profiling.statistics import quantile

Datasets = dict[str, list[dict[str, Any]]]

OWN = "var(--own)"  # the colour that the page gives the file

_HEIGHT_PX = 92
_BINS = 56
_MS = 1e-6  # ms in a ns
_DASHES = {"p50": [1, 0], "p90": [5, 3], "p99": [1, 3]}


def spread_plot() -> Spec:
    """A histogram of the dataset `bars`, with lines at the percentiles in `rules`."""
    alt = altair()
    x = alt.X("from:Q", title="ms", scale=alt.Scale(zero=False, nice=False)).axis(
        grid=False, tickCount=5, format=".6~g"
    )
    bars = (
        alt.Chart(alt.Data(name="bars"))
        .mark_bar(color=OWN, opacity=0.75)
        .encode(
            x=x,
            x2="to:Q",
            y=alt.Y("runs:Q", title="runs").axis(tickCount=3, grid=False, format="d"),
            y2=alt.Y2Datum(0),
            tooltip=["runs:Q"],
        )
    )
    dashes = alt.Scale(domain=list(_DASHES), range=list(_DASHES.values()))
    rules = (
        alt.Chart(alt.Data(name="rules"))
        .mark_rule(color=INK, strokeWidth=1.25)
        .encode(x="from:Q", strokeDash=alt.StrokeDash("name:N", scale=dashes, legend=None))
    )
    return finished(alt.layer(bars, rules).properties(width="container", height=_HEIGHT_PX))


def spread_data(row: Row) -> Datasets:
    """The bins of a file's histogram, and its percentiles as far as they lie on the plot."""
    latencies_ms = _latencies_ms(row)
    end = _end_ms(latencies_ms)
    counts, edges = np.histogram(latencies_ms, bins=_BINS, range=(latencies_ms.min(), end))
    bars = [
        {"from": _brief(left), "to": _brief(right), "runs": int(count)}
        for count, left, right in zip(counts, edges[:-1], edges[1:], strict=True)
        if count
    ]
    latency = row.latency
    percentiles = {"p50": latency.p50, "p90": latency.p90, "p99": latency.p99}
    rules = [
        {"from": _brief(interval.value), "name": name}
        for name, interval in percentiles.items()
        if interval and interval.value <= end
    ]
    return {"bars": bars, "rules": rules}


def beyond(row: Row) -> int:
    """How many runs are slower than the spread plot shows, so that the text can tell."""
    latencies_ms = _latencies_ms(row)
    return int(np.sum(latencies_ms > _end_ms(latencies_ms)))


def blocks_plot() -> Spec:
    """The dataset `blocks` in the order they ran: medians, and lines from p10 to p90."""
    alt = altair()
    x = alt.X("block:Q", title="block, in the order measured")
    x = x.scale(nice=False, zero=False, padding=10)
    base = alt.Chart(alt.Data(name="blocks")).encode(
        x=x.axis(grid=False, tickMinStep=1, format="d", tickCount=6)
    )
    y = alt.Y("p50:Q", title="ms").scale(zero=False, nice=True).axis(tickCount=3, format=".6~g")
    lines = base.mark_rule(color=OWN, opacity=0.45, strokeWidth=2).encode(y="p10:Q", y2="p90:Q")
    dots = base.mark_circle(color=OWN, opacity=1, size=28).encode(y=y, tooltip=["block:Q", "p50:Q"])
    return finished(alt.layer(lines, dots).properties(width="container", height=_HEIGHT_PX))


def blocks_data(row: Row) -> Datasets:
    """Median, p10 and p90 of each block of a file, ms."""
    blocks = [block * _MS for block in row.profile.measurement.blocks]
    return {
        "blocks": [
            {
                "block": number,
                "p50": _brief(quantile(block, 0.5)),
                "p10": _brief(quantile(block, 0.1)),
                "p90": _brief(quantile(block, 0.9)),
            }
            for number, block in enumerate(blocks, start=1)
        ]
    }


def _latencies_ms(row: Row) -> NDArray[np.float64]:
    return np.array(row.profile.measurement.latencies_ns) * _MS


def _end_ms(latencies_ms: NDArray[np.float64]) -> float:
    """Where the plot ends: at the slowest run, unless a few of them would flatten the rest."""
    p99, slowest = quantile(latencies_ms, 0.99), float(latencies_ms.max())
    end = p99 + 0.5 * (p99 - float(latencies_ms.min()))
    return slowest if slowest <= 1.3 * end else end


def _brief(value: float) -> float:
    """As many digits as a plot can show."""
    return float(f"{value:.6g}")
