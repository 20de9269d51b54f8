"""What the calibration doctor says: a line for each thing looked at, and advice where it is bad."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from edgecnn.contract import Preprocess
from edgecnn.graph.convergence import Convergence
from edgecnn.pipeline.colors import ColorOrder
from edgecnn.pipeline.doctor import Checkup, Light, Overlap
from edgecnn.pipeline.narrator import Narrator
from edgecnn.pipeline.scaling import Scaling
from edgecnn.pipeline.watch import Seen

MORE_IMAGES = 64
MAX_CHANGE = 0.02  # of a range, on average, by MORE_IMAGES
MAX_ALIKE_SHARE = 0.1
MIN_SCENES_SHARE = 0.25
MAX_OUTLIER_SHARE = 0.1
MAX_CLASS_SHARE = 0.5
BRIGHTNESS = (50.0, 205.0)  # of 255, the median of a set
MIN_CONTRAST = 20.0
MAX_MEAN, STD = 1.0, (0.2, 2.0)  # of the network's input values
_CLASSES_TO_JUDGE = 5
_NAMED = 2
_CAUSES = 5
_NAME_WIDTH = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `warning` says what is wrong with it and what to do."""

    label: str
    text: str
    warning: str | None = None


def findings(checkup: Checkup) -> tuple[Finding, ...]:
    """All of them, in the order in which people should read them."""
    return tuple(_findings(checkup))


def short_line(checkup: Checkup) -> str:
    """The set in one line: '300 images, 214 classes, no near-duplicates, none of them in val/'."""
    parts = [f"{checkup.images:,} images"]
    seen, overlap = checkup.seen, checkup.overlap
    if seen and seen.classes is not None:
        among = "" if seen.images == checkup.images else f" on {seen.images} of them"
        parts.append(f"{_many(seen.classes, 'class', 'classes')}{among}")
    parts.append(_many(len(checkup.near_duplicates), "near-duplicate"))
    if overlap:
        parts.append(f"{len(overlap.shared) or 'none'} of them in {Path(overlap.against).name}")
    return ", ".join(parts)


def tell_short(checkup: Checkup, narrator: Narrator) -> None:
    """Say the set in one line, and what is wrong with it."""
    warnings = [found.warning for found in findings(checkup) if found.warning]
    state = "ok" if not warnings else _many(len(warnings), "warning")
    narrator.line("calibration", f"{short_line(checkup)}    {state}")
    for warning in warnings:
        narrator.warn(warning)


def verdict(checkup: Checkup) -> str:
    """`ok`, `warnings` or `refused`."""
    if checkup.problem:
        return "refused"
    return "warnings" if any(found.warning for found in findings(checkup)) else "ok"


def _findings(checkup: Checkup) -> Iterator[Finding]:
    yield _images(checkup)
    if not checkup.is_random:
        yield _different(checkup)
    if checkup.overlap:
        yield _overlap(checkup.overlap)
    if checkup.light and not checkup.is_random:
        yield _light(checkup.light, checkup.images)
    if checkup.seen:
        yield from (_values(checkup.seen), _classes(checkup.seen), _colors(checkup.seen))
        if checkup.seen.scaling:
            yield _scale(checkup.seen.scaling, checkup.seen.preprocess)
    if checkup.convergence:
        yield _ranges(checkup.convergence)


def _images(checkup: Checkup) -> Finding:
    text = f"{checkup.images:,} from {checkup.name}"
    if checkup.is_random:
        warning = "calibrated on random noise, as asked: real images will lose accuracy"
        return Finding("images", text, warning)
    bad = len(checkup.unreadable)
    if not bad:
        return Finding("images", text)
    shown = "; ".join(checkup.unreadable[:_CAUSES])
    more = f"; … (--json names all {bad})" if bad > _CAUSES else ""
    warning = f"{_many(bad, 'image')} cannot be read: {shown}{more}"
    return Finding("images", f"{text}, {bad} more cannot be read", warning)


def _different(checkup: Checkup) -> Finding:
    count, alike, scenes = checkup.images, len(checkup.near_duplicates), checkup.scenes
    names = _named(checkup.near_duplicates)
    text = f"{_many(alike, 'near-duplicate')}{names}, {_many(scenes, 'different scene')}"
    warning = None
    if alike > MAX_ALIKE_SHARE * count:
        warning = (
            f"{alike} of {count:,} images are near-duplicates: they teach nothing new; "
            "take fewer frames of each scene, and more scenes"
        )
    elif scenes < MIN_SCENES_SHARE * count:
        warning = (
            f"only {scenes} scenes in {count:,} images: add other places, times of day and objects"
        )
    return Finding("different", text, warning)


def _overlap(overlap: Overlap) -> Finding:
    shared = len(overlap.shared)
    where = f"{overlap.against} ({overlap.images:,} images)"
    if not shared:
        return Finding("overlap", f"none of them in {where}")
    text = f"{overlap.exact} the same and {overlap.near} nearly the same in {where}"
    warning = (
        f"{_many(shared, 'calibration image')} also in {overlap.against}{_named(overlap.shared)}: "
        "accuracy there would be flattered; take them out of one of the two"
    )
    return Finding("overlap", text, warning)


def _light(light: Light, count: int) -> Finding:
    text = f"brightness {light.brightness:.0f}, contrast {light.contrast:.0f} of 255 (medians)"
    outliers = [
        f"{len(names)} {what}"
        for names, what in (
            (light.dark, "dark"),
            (light.bright, "overexposed"),
            (light.flat, "without contrast"),
            (light.noise, "noise"),
        )
        if names
    ]
    if outliers:
        text += f"; {', '.join(outliers)}"
    warning = _light_warning(light, count, ", ".join(outliers))
    return Finding("light", text, warning)


def _light_warning(light: Light, count: int, outliers: str) -> str | None:
    if light.noise:
        names = _named(light.noise)
        return f"{_many(len(light.noise), 'image')} of pure noise{names}: take them out"
    advice = "calibrate in the light that the camera will work in"
    if not BRIGHTNESS[0] <= light.brightness <= BRIGHTNESS[1]:
        kind = "dark" if light.brightness < BRIGHTNESS[0] else "bright"
        return f"half of the images are very {kind} (median {light.brightness:.0f}): {advice}"
    if light.contrast < MIN_CONTRAST:
        return f"the images have little contrast (median {light.contrast:.0f}): {advice}"
    if max(len(light.dark) + len(light.bright), len(light.flat)) > MAX_OUTLIER_SHARE * count:
        return f"{outliers} of {count:,} images: {advice}"
    return None


def _values(seen: Seen) -> Finding:
    spec = seen.preprocess
    text = f"mean {seen.mean:.2f}, deviation {seen.std:.2f} at the network's input"
    if spec.melspectrogram is not None:  # how loud sounds are is not normalised
        return Finding("values", text)
    if not any(spec.mean) and all(part == 1 for part in spec.std):
        return Finding("values", f"{text}: pixels x {spec.scale:.6g}, not normalised")
    if abs(seen.mean) <= MAX_MEAN and STD[0] <= seen.std <= STD[1]:
        return Finding("values", text)
    return Finding(
        "values",
        text,
        f"input values of mean {seen.mean:.3g} and deviation {seen.std:.3g}, where normalising "
        f"aims at 0 and 1: check {_said(spec)} and the light of the images",
    )


def _said(spec: Preprocess) -> str:
    mean, std = (",".join(f"{part:g}" for part in parts) for parts in (spec.mean, spec.std))
    return f"--scale {spec.scale:.6g} --mean {mean} --std {std}"


def _classes(seen: Seen) -> Finding:
    if seen.classes is None or seen.known is None or seen.largest_share is None:
        why = "its weights are random" if seen.random_weights else "it is no classifier"
        return Finding("classes", f"not judged: {why}")
    text = (
        f"{seen.classes:,} of {seen.known:,} predicted on {seen.images} images, "
        f"the most frequent on {seen.largest_share:.0%}"
    )
    warning = None
    if seen.known >= _CLASSES_TO_JUDGE and seen.largest_share > MAX_CLASS_SHARE:
        warning = (
            f"the network takes {seen.largest_share:.0%} of the images for one class: add images "
            "of the others, or check its preprocessing (edgecnn inspect)"
        )
    return Finding("classes", text, warning)


def _colors(seen: Seen) -> Finding:
    if seen.preprocess.channels == 1:
        return Finding("colours", "none: the network sees grey")
    if seen.colors is None:
        return Finding("colours", f"{seen.preprocess.color}; not judged")
    return _color_finding(seen.colors, seen.preprocess.color)


def _color_finding(colors: ColorOrder, order: str) -> Finding:
    shares = (
        f"best class {colors.confidence:.0%} sure, with red and blue exchanged "
        f"{colors.exchanged_confidence:.0%}"
    )
    if colors.verdict == "fits":
        return Finding("colours", f"{order} fits: {shares}")
    if colors.verdict == "cannot tell":
        return Finding("colours", f"{order}; cannot tell on {colors.images} images: {shares}")
    other = "BGR" if order == "RGB" else "RGB"
    return Finding(
        "colours",
        f"{order} looks wrong: {shares}",
        f"the network is surer with red and blue exchanged ({shares}): try --color {other}, or "
        "the images were saved in the wrong order",
    )


def _scale(scaling: Scaling, spec: Preprocess) -> Finding:
    as_is, rival, other = scaling.as_is, scaling.rival, _said(scaling.spec)
    text = (
        f"on {scaling.images} images it tells {as_is.kinds:.0f} kinds apart, its best class "
        f"{as_is.lead_nats:.1f} nats ahead; with {other} {rival.kinds:.0f}, {rival.lead_nats:.1f}"
    )
    what = "is absurdly sure of every image" if as_is.is_absurd else "hardly tells images apart"
    warning = (
        f"prepared with {_said(spec)} the network {what}, as if its input values were on the "
        f"wrong scale; {other} suits it better: check how it was trained"
    )
    return Finding("scale", text, warning)


def _ranges(converged: Convergence) -> Finding:
    change = converged.change(MORE_IMAGES)
    mean = fmean(change.values())
    worst = max(change, key=lambda name: change[name])
    text = (
        f"{MORE_IMAGES} more images would change them by about {mean:.1%}, "
        f"at most {change[worst]:.1%} ({_end_of(worst)})"
    )
    warning = None
    if mean > MAX_CHANGE:
        warning = (
            f"the ranges are not settled: {MORE_IMAGES} more images would change them by about "
            f"{mean:.1%}; add images"
        )
    return Finding("ranges", text, warning)


def _many(count: int, one: str, many: str = "") -> str:
    """`no things`, `1 thing`, `2 things`."""
    return f"{f'{count:,}' if count else 'no'} {one if count == 1 else many or one + 's'}"


def _named(labels: tuple[str, ...]) -> str:
    """The first of them in brackets: ' (a.jpg, b.jpg, …)'."""
    shown = ", ".join(labels[:_NAMED])
    return f" ({shown}{', …' if len(labels) > _NAMED else ''})" if labels else ""


def _end_of(name: str) -> str:
    """The last characters of a long tensor name, which tell it from the others."""
    return name if len(name) <= _NAME_WIDTH else f"…{name[1 - _NAME_WIDTH :]}"
