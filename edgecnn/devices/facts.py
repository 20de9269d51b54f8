"""What a device says of itself and of its state, checked: it is not to be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgecnn.devices.device import Device
from edgecnn.devices.untrusted import one_word, parse_json
from edgecnn.errors import DeviceError

_FACTS_TIMEOUT_S = 60.0
_MAX_FACTS = 1 << 16
_MAX_WORD = 512
_MAX_DEPTH = 4
_MAX_CAUSE, _MAX_CAUSES = 80, 32
_READINGS = ("clock_mhz", "temperature_c", "headroom_c")


def facts_of(device: Device) -> dict[str, Any]:
    """What a device is and what state it is in; raises DeviceError for an answer that is none.

    The answer is bounded, and its strings are cut and cleared of what could steer a terminal.
    """
    answer = device.run(["facts"], timeout_s=_FACTS_TIMEOUT_S)
    try:
        facts = parse_json(answer, most_chars=_MAX_FACTS)
    except ValueError as error:
        raise DeviceError(
            f"{device.name}: its facts are not JSON ({answer[:60]!r})", hint="run it with --debug"
        ) from error
    return checked_facts(device.name, facts)


def checked_facts(name: str, facts: object) -> dict[str, Any]:
    """What the device of that name says of itself, cleared; DeviceError where it cannot be so."""
    try:
        cleaned = _cleaned(facts, depth=0)
    except (ValueError, TypeError) as error:
        raise DeviceError(
            f"{name}: its facts cannot be ({error})", hint="run it with --debug"
        ) from error
    if not isinstance(cleaned, dict) or not _are_facts(cleaned):
        raise DeviceError(f"{name}: no facts in its answer", hint="run it with --debug")
    return cleaned


def checked_state(state: object) -> Mapping[str, Any]:
    """How a device fares, of which only what is known is kept; TypeError, ValueError, KeyError for
    what cannot be a state.
    """
    if not isinstance(state, dict) or not isinstance(state["throttle_counts"], dict):
        raise TypeError(f"{state!r:.40} is no state")
    readings = {name: state.get(name) for name in _READINGS}
    if not all(value is None or _is_number_or_reason(value) for value in readings.values()):
        raise ValueError(f"{readings!r:.80} are no readings")
    counts = list(state["throttle_counts"].items())[:_MAX_CAUSES]
    return {
        **{name: value for name, value in _cleaned(readings, depth=0).items() if name in state},
        "throttle_counts": {_cause(name): int(count) for name, count in counts},
        "held_back": [_cause(name) for name in state["held_back"][:_MAX_CAUSES]],
    }


def _cause(name: object) -> str:
    return one_word(str(name), most_chars=_MAX_CAUSE)


def _cleaned(value: Any, *, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(value, dict):
        return {
            one_word(key, most_chars=_MAX_WORD): _cleaned(item, depth=depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_cleaned(item, depth=depth + 1) for item in value]
    if isinstance(value, str):
        return one_word(value, most_chars=_MAX_WORD)
    return value


def _are_facts(facts: dict[str, Any]) -> bool:
    """Whether the facts that reports work with are of their kind."""
    numbers = ("clock_mhz", "clock_max_mhz", "temperature_c", "load_1min", "memory_bytes")
    return (
        isinstance(facts.get("cores"), int)
        and isinstance(facts.get("isa"), list)
        and isinstance(facts.get("versions"), dict)
        and all(_is_number_or_reason(facts.get(name, 0)) for name in numbers)
    )


def _is_number_or_reason(value: object) -> bool:
    if isinstance(value, str):
        return value.startswith("unavailable: ")
    return isinstance(value, (int, float)) and not isinstance(value, bool)
