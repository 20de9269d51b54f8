"""How `evaluate` tells of answers that are averaged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.cli.speak import Speaker

if TYPE_CHECKING:
    from edgecnn.pipeline.measure import EvaluateOptions
    from edgecnn.runtime.views import Views


def evaluate_together(
    speaker: Speaker,
    files: Sequence[Path],
    chosen: EvaluateOptions,
    *,
    views: Views,
    ensemble: bool,
) -> None:
    """Evaluate, print the table and the cost, and give the document for `--json`."""
    from edgecnn.pipeline.combine import combine
    from edgecnn.profiling.report import evaluation_document, evaluation_table

    found = combine(files, options=chosen, views=views, ensemble=ensemble, narrator=speaker)
    rows = (*found.alone, *(each for each, _ in found.together))
    speaker.print(evaluation_table(rows))
    for each, cost in found.together:
        times = f"{cost.combined_ms / cost.plain_ms:.1f}x the time"
        told = f"{cost.combined_ms:.2f} ms an image instead of {cost.plain_ms:.2f}, {times}"
        speaker.line("cost", f"{each.file}: {told} (medians of the engine alone)")
    document = evaluation_document(rows)
    costs = [
        {"file": each.file, "plain_ms": cost.plain_ms, "combined_ms": cost.combined_ms}
        for each, cost in found.together
    ]
    speaker.result(document | {"costs": costs})
