"""A network's layers for people: one table of at most a hundred columns; and for machines."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgecnn.cli.speak import Speaker

if TYPE_CHECKING:
    from edgecnn.devices.boards import Board, Precision
    from edgecnn.devices.roofline import Roof
    from edgecnn.pipeline.outline import Outline
    from edgecnn.zoo.layers import Layer, LayerTable

_COLUMNS = 100
_HEAD = ("layer", "kind", "output", "F", "S", "P", "G", "params", "MACs", "bytes", "sees", "share")
_KINDS = {
    "convolution": "conv",
    "transposed": "deconv",
    "batch norm": "norm",
    "average pool": "avg pool",
    "global pool": "mean",
}
_LEGEND = """\
F kernel, S stride, P padding, G groups; MACs and bytes (of float32 outputs) of one image; sees:
the receptive field in pixels of the image; norms right after a convolution are folded into it."""


def show(speaker: Speaker, found: Outline, *, board: Board | None, precision: Precision) -> None:
    """Tell a network layer by layer, and what bounds each on the board."""
    table = found.table
    roofs = tuple(_roof(layer, board, precision) for layer in table.layers)
    speaker.print(_title(found))
    rows = [_row(layer, roof) for layer, roof in zip(table.layers, roofs, strict=True)]
    head = (*_HEAD, "bound") if board else _HEAD
    notes = ((), *(_notes(layer) for layer in table.layers), ())
    _tell(speaker, [head, *rows, _total(table)], notes)
    speaker.print(_LEGEND)
    if outside := _outside(table):
        speaker.print(f"{outside:,} parameters are in no layer of this table.")
    if board is not None:
        _tell_board(speaker, board, precision, roofs)
    speaker.result(_document(found, board, precision, roofs))


def _roof(layer: Layer, board: Board | None, precision: Precision) -> Roof | None:
    """What bounds a layer on the board; folded batch norms never get there."""
    from edgecnn.devices.roofline import roof

    if board is None or layer.folded:
        return None
    moved = math.prod(layer.input_shape) + math.prod(layer.output_shape) + layer.parameters
    return roof(board, macs=layer.macs, values=moved, precision=precision)


def _outside(table: LayerTable) -> int:
    """Parameters of what is no layer here, such as a scale of all maps, or attention."""
    # A layer that runs twice has its parameters once.
    once = {(layer.name, layer.kind, layer.parameters) for layer in table.layers}
    return table.parameters - sum(parameters for _, _, parameters in once)


def _title(found: Outline) -> str:
    table = found.table
    size = "x".join(map(str, found.input_shape[2:]))
    return (
        f"{found.title}, {size}: {table.parameters:,} parameters, {table.macs:,} MACs, "
        f"{_short(table.activation_bytes)}B of activations"
    )


def _row(layer: Layer, roof: Roof | None) -> tuple[str, ...]:
    cells = (
        layer.name,
        _KINDS.get(layer.kind, layer.kind),
        "x".join(map(str, layer.output_shape)),
        *(_pair(pair) for pair in (layer.kernel, layer.stride, layer.padding)),
        str(layer.groups) if layer.groups > 1 else "",
        _short(layer.parameters),
        _short(layer.macs),
        _short(layer.activation_bytes),
        _pair(layer.receptive_field),
        f"{layer.share:.1%}" if layer.macs else "",
    )
    return (*cells, roof.limit if roof else "folded")


def _total(table: LayerTable) -> tuple[str, ...]:
    totals = (_short(table.parameters), _short(table.macs), _short(table.activation_bytes))
    return ("total", *("",) * 6, *totals, *("",) * 3)


def _notes(layer: Layer) -> tuple[str, ...]:
    """What a row cannot say."""
    cut = layer.note and f"(W - F + 2P) / S is not whole: {layer.note}"
    return tuple(note for note in (layer.padding_note, cut) if note)


def _tell(speaker: Speaker, rows: Sequence[Sequence[str]], notes: Sequence[Sequence[str]]) -> None:
    columns = len(rows[0])
    widths = [max(len(row[column]) for row in rows) for column in range(columns)]
    widths[0] = min(widths[0], _COLUMNS - sum(widths[1:]) - (columns - 1))
    for row, told in zip(rows, notes, strict=True):
        speaker.print(_line(row[:columns], widths))
        for note in told:
            speaker.print(f"  {note}")


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    name, kind, *rest = row
    if len(name) > widths[0]:
        name = f"…{name[1 - widths[0] :]}"
    cells = (f"{cell:>{width}}" for cell, width in zip(rest, widths[2:], strict=True))
    return " ".join((f"{name:<{widths[0]}}", f"{kind:<{widths[1]}}", *cells)).rstrip()


def _tell_board(
    speaker: Speaker, board: Board, precision: Precision, roofs: Sequence[Roof | None]
) -> None:
    counts = Counter(roof.limit for roof in roofs if roof)
    bound = ", ".join(f"{count} {limit}-bound" for limit, count in counts.most_common())
    speaker.print(f"\n{board.name}: {board.title}; layers in {precision}")
    speaker.print(f"{bound}; at least {_least_ms(roofs):.3g} ms, by these limits:")
    for source in board.sources:
        speaker.print(f"  {source}")


def _least_ms(roofs: Sequence[Roof | None]) -> float:
    return 1e3 * sum(roof.least_s for roof in roofs if roof)


def _pair(pair: tuple[int, int] | None) -> str:
    if pair is None:
        return ""
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}x{pair[1]}"


def _short(number: int) -> str:
    """Three digits and a unit: 864, 9.41K, 1.28M, 15.5G."""
    value, units = float(number), iter(("", "K", "M", "G", "T"))
    unit = next(units)
    while float(f"{value:.3g}") >= 1000:
        value, unit = value / 1000, next(units)
    if not number:
        return ""
    return f"{value:.3g}{unit}"


def _document(
    found: Outline,
    board: Board | None,
    precision: Precision,
    roofs: Sequence[Roof | None],
) -> dict[str, Any]:
    table = found.table
    rows = [
        dataclasses.asdict(layer) | {"note": layer.note, "bound": roof.limit if roof else None}
        for layer, roof in zip(table.layers, roofs, strict=True)
    ]
    device = board and {
        "name": board.name,
        "precision": precision,
        "macs_per_s": board.macs_per_s[precision],
        "bytes_per_s": board.bytes_per_s,
        "launch_s": board.launch_s,
        "sources": list(board.sources),
        "least_ms": _least_ms(roofs),
    }
    return {
        "format": 1,
        "model": found.name,
        "input": list(found.input_shape),
        "parameters": table.parameters,
        "macs": table.macs,
        "activation_bytes": table.activation_bytes,
        "layers": rows,
        "device": device,
    }
