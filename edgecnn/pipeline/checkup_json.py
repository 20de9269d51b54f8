"""What the calibration doctor found out, as JSON."""

from __future__ import annotations

from statistics import fmean
from typing import Any

from edgecnn.graph.convergence import Convergence
from edgecnn.pipeline.doctor import Checkup, Light, Overlap
from edgecnn.pipeline.findings import MORE_IMAGES, findings, verdict
from edgecnn.pipeline.scaling import Scaling
from edgecnn.pipeline.watch import Seen


def document(checkup: Checkup) -> dict[str, Any]:
    """Everything as JSON."""
    seen, converged = checkup.seen, checkup.convergence
    return {
        "format": 1,
        "source": checkup.name,
        "images": checkup.images,
        "sha256": checkup.sha256,
        "verdict": verdict(checkup),
        "problem": str(checkup.problem) if checkup.problem else None,
        "warnings": [found.warning for found in findings(checkup) if found.warning],
        "unreadable": list(checkup.unreadable),
        "near_duplicates": list(checkup.near_duplicates),
        "scenes": checkup.scenes,
        "light": _fields(checkup.light),
        "overlap": _fields(checkup.overlap),
        "seen": None if seen is None else _seen_document(seen),
        "convergence": None if converged is None else _convergence_document(converged),
    }


def _fields(part: Light | Overlap | None) -> dict[str, Any] | None:
    return None if part is None else {name: getattr(part, name) for name in part.__slots__}


def _seen_document(seen: Seen) -> dict[str, Any]:
    colors = seen.colors
    return {
        "images": seen.images,
        "input_mean": seen.mean,
        "input_std": seen.std,
        "classes": seen.classes,
        "known_classes": seen.known,
        "largest_share": seen.largest_share,
        "random_weights": seen.random_weights,
        "scaling": None if seen.scaling is None else _scaling_document(seen.scaling),
        "colors": colors
        and {
            "order": seen.preprocess.color,
            "verdict": colors.verdict,
            "images": colors.images,
            "confidence": colors.confidence,
            "exchanged_confidence": colors.exchanged_confidence,
            "surer_nats": {
                "value": colors.surer_nats.value,
                "low": colors.surer_nats.low,
                "high": colors.surer_nats.high,
            },
        },
    }


def _scaling_document(scaling: Scaling) -> dict[str, Any]:
    return {
        "images": scaling.images,
        "told_nats": scaling.as_is.told_nats,
        "lead_nats": scaling.as_is.lead_nats,
        "better": {
            "scale": scaling.spec.scale,
            "mean": list(scaling.spec.mean),
            "std": list(scaling.spec.std),
            "told_nats": scaling.rival.told_nats,
            "lead_nats": scaling.rival.lead_nats,
        },
    }


def _convergence_document(converged: Convergence) -> dict[str, Any]:
    change = converged.change(MORE_IMAGES)
    return {
        "images": converged.images,
        "more_images": MORE_IMAGES,
        "mean_change": fmean(change.values()),
        "change": change,
    }
