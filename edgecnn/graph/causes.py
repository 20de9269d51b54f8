"""Why a layer loses accuracy and what would help, in words that need no paper to be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgecnn.graph.sensitivity import LayerError
from edgecnn.graph.tally import Spread

Remedy = Literal["none", "per-channel", "repair", "range", "float"]

FINE_DB = 45.0  # nothing that is rounded to 255 steps does much better
_MAIN_SHARE = 0.5  # of the error: what counts as its cause
_UNEQUAL = 8.0  # times the median channel: three of the eight bits are lost to it
_LONELY = 20.0  # times the root mean square: a range made by a few values
_INHERITED = 4.0  # times the error added here


@dataclass(frozen=True, slots=True)
class Cause:
    """A sentence for people, and the kind of remedy that fits.

    `per-channel` wants a scale for each channel, `repair` rounding and bias correction, `range`
    another range, `float` the layer back in float, `none` nothing.
    """

    text: str
    remedy: Remedy


def explain(error: LayerError) -> Cause:
    """The main cause of the error that a layer adds."""
    if error.here_db >= FINE_DB:
        inherits = error.accumulated > _INHERITED * error.here
        source = ": its error comes from the layers before" if inherits else ""
        return Cause(f"adds next to nothing{source}", "none")
    if error.weight > error.activation:
        return _weights(error)
    return _outputs(error)


def _weights(error: LayerError) -> Cause:
    uneven = error.weights
    if error.weight_scales == 1 and uneven is not None and uneven.times >= _UNEQUAL:
        return Cause(f"{_stands_out(uneven, 'weight')}, one scale for all", "per-channel")
    return Cause("rounding its weights", "repair")


def _outputs(error: LayerError) -> Cause:
    if error.clipping > _MAIN_SHARE * error.activation:
        share = f"{100 * error.clipped_share:.1f}" if error.clipped_share >= 0.001 else "under 0.1"
        return Cause(f"{share} % of its outputs are clipped by the range", "range")
    if error.outputs is not None and error.outputs.times >= _UNEQUAL:
        blocked = "; its Clip stops equalization" if "Clip" in error.ops else ""
        found = _stands_out(error.outputs, "output")
        return Cause(f"{found}, one scale for all{blocked}", "float")
    if error.peak >= _LONELY:
        return Cause(f"a few outputs, {error.peak:.0f}x the usual size, widen the range", "range")
    what = "its outputs" if error.ops else "the image"
    return Cause(f"rounding {what} to 255 steps", "float")


def _stands_out(spread: Spread, what: str) -> str:
    return f"channel {spread.channel} has {spread.times:.0f}x the median channel's {what} range"
