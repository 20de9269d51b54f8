"""The last arrows: shipped files become accuracies and profiles."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from edgecnn.contract import Contract
from edgecnn.datasets.inputs import read_input
from edgecnn.datasets.labelled import LabelledImages, open_labelled
from edgecnn.datasets.listing import listed_images
from edgecnn.datasets.natural import natural_images
from edgecnn.datasets.tones import draw_tones
from edgecnn.devices import Device, LocalDevice
from edgecnn.devices.facts import facts_of
from edgecnn.devices.find import open_device
from edgecnn.errors import DataError, FileError, ModelError, UsageError
from edgecnn.files import human_size
from edgecnn.graph.work import size_of
from edgecnn.pipeline.contracts import (
    ContractOptions,
    check_same_classes,
    contract_of,
    tell_judged,
)
from edgecnn.pipeline.hearing import Hearing, unfinished_profile
from edgecnn.pipeline.layers import joined
from edgecnn.pipeline.narrator import Narrator, Silent
from edgecnn.profiling.accuracy import Predictions, evaluate_file, evaluation
from edgecnn.profiling.elsewhere import Subject, evaluate_elsewhere
from edgecnn.profiling.records import Evaluation, Profile, Report
from edgecnn.profiling.report import device_line
from edgecnn.profiling.run import Options, profile_files
from edgecnn.runtime.fit import class_count
from edgecnn.runtime.preprocess import Given

Answer = Callable[[Sequence[Subject], LabelledImages], Mapping[Path, Predictions]]
"""What each of some files answers to images."""

PROFILE_IMAGES = 8
_FRAME = (480, 640)
_WITH_BACKGROUND = 1001  # ImageNet's classes behind one for none of them, as TensorFlow has them


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """What to evaluate on, and how; `table` names each image's class where `data` does not."""

    data: Path
    table: Path | None = None
    against: Path | None = None
    engine: str = "onnxruntime"
    threads: int | None = None
    class_offset: int | None = None
    contract: ContractOptions = field(default_factory=ContractOptions)
    device: str = "local"


def evaluate(
    files: Sequence[Path], *, options: EvaluateOptions, narrator: Narrator | None = None
) -> tuple[Evaluation, ...]:
    """The accuracy of files on labelled images, each paired with `against` or with the first.

    Raises DataError for images or labels that do not fit, or where a file's weights are random;
    DeviceError where the device fails.
    """
    narrator = narrator or Silent()
    told = (*files, *filter(None, [options.against]))
    with open_device(options.device, pushed=partial(_tell_push, narrator, told)) as device:
        if not isinstance(device, LocalDevice):
            narrator.line("device", device_line(facts_of(device)))
        return evaluated(files, options, narrator, answer=partial(_answers, device, narrator))


def evaluated(
    files: Sequence[Path], options: EvaluateOptions, narrator: Narrator, *, answer: Answer
) -> tuple[Evaluation, ...]:
    """As `evaluate`, where `answer` says what the files answer to the images."""
    reference = options.against or files[0]
    contracts = {path: contract_of(path, options.contract) for path in (reference, *files)}
    images = open_data(
        options.data,
        contracts[reference],
        table=options.table,
        class_offset=options.class_offset,
    )
    check_same_classes(contracts)
    for first in {contract.outputs: path for path, contract in contracts.items()}.values():
        tell_judged(first, contracts[first], narrator)
    subjects = [
        Subject(path, contract, options.engine, options.threads)
        for path, contract in contracts.items()
    ]
    answers = answer(subjects, images)
    return tuple(
        evaluation(answers[path], reference=None if path == reference else answers[reference])
        for path in files
    )


def open_data(
    data: Path, contract: Contract, *, table: Path | None, class_offset: int | None = None
) -> LabelledImages:
    """The labelled images of a folder or table, in the classes of a contract.

    `class_offset` is the output that means class 0: 1 where output 0 is 'background'. Raises
    DataError where there are no such images, or no such classes; or where it was not said and the
    number of outputs leaves it open.
    """
    if contract.task != "classification":
        what = {"detection": "a detector, whose answer is boxes: it"}.get(
            contract.task, f"a network for {contract.task}"
        )
        raise DataError(
            f"{contract.name}: {what} has no top-1",
            hint="compare INT8 with FP32 when quantizing, or profile it without --data",
        )
    outputs, offset = class_count(contract.outputs[0]), class_offset or 0
    count = None if outputs is None else outputs - offset
    classes = contract.labels[offset:]
    images = open_labelled(data, labels=table, classes=classes, class_count=count)
    if class_offset is None and outputs == _WITH_BACKGROUND:
        _check_first_class(images, contract, data)
    items = tuple(
        dataclasses.replace(item, class_index=item.class_index + offset) for item in images.items
    )
    return dataclasses.replace(images, items=items, class_count=images.class_count + offset)


def _check_first_class(images: LabelledImages, contract: Contract, data: Path) -> None:
    """A shift by one class would give an accuracy of about nothing, and no other sign."""
    if all(item.class_index < _WITH_BACKGROUND - 1 for item in images.items):
        raise DataError(
            f"{contract.name}: has {_WITH_BACKGROUND} outputs, and {data} shows nothing of class "
            f"{_WITH_BACKGROUND - 1}: the first output may mean 'background'",
            hint="say which output means class 0: --class-offset 1 where it does, else 0",
        )


def _answers(
    device: Device, narrator: Narrator, subjects: Sequence[Subject], images: LabelledImages
) -> dict[Path, Predictions]:
    return {each.path: _answered(device, narrator, each, images) for each in subjects}


def _answered(
    device: Device, narrator: Narrator, subject: Subject, images: LabelledImages
) -> Predictions:
    with narrator.progress(subject.path.name) as progress:
        if not isinstance(device, LocalDevice):
            return evaluate_elsewhere(device, subject, images, progress=progress)
        return evaluate_file(
            subject.path,
            images,
            engine=subject.engine,
            threads=subject.threads,
            contract=subject.contract,
            progress=progress,
        )


@dataclass(frozen=True, slots=True)
class ProfileOptions:
    """What to measure with: `images` are the inputs, `data` gives accuracy beside latency.

    `evaluations` are accuracies of these very files that are known already. With
    `keep_interrupted` Ctrl-C makes a report of what is measured, where that is enough.
    """

    device: str = "local"
    images: Path | None = None
    data: Path | None = None
    table: Path | None = None
    class_offset: int | None = None
    evaluations: tuple[Evaluation, ...] = ()
    contract: ContractOptions = field(default_factory=ContractOptions)
    measuring: Options = field(default_factory=Options)
    keep_interrupted: bool = False


def profile(
    files: Sequence[Path],
    *,
    options: ProfileOptions | None = None,
    narrator: Narrator | None = None,
) -> Report:
    """Latency of files, visited in interleaved blocks, and their accuracy where there is data."""
    options, narrator = options or ProfileOptions(), narrator or Silent()
    contracts = {path: contract_of(path, options.contract) for path in files}
    measuring = dataclasses.replace(options.measuring, contracts=contracts)
    hearing = Hearing(narrator, files, measuring, keep_interrupted=options.keep_interrupted)
    with open_device(options.device, pushed=partial(_tell_push, narrator, files)) as device:
        before = facts_of(device)
        narrator.line("device", device_line(before))
        answer = partial(_answers, device, narrator)
        evaluations = evaluations_of(contracts, options, narrator, answer=answer)
        images = options.images or options.data
        with hearing.listener() as listener:
            profiles = profile_files(
                files,
                device=device,
                images=inputs_of(options, contracts),
                options=measuring,
                listener=listener,
                journal=unfinished_profile(
                    files, measuring, {"name": device.name, **before}, images=images
                ),
            )
        after = facts_of(device)
    return Report(
        device=before,
        device_name=device.name,
        created=datetime.now().astimezone(),
        profiles=tuple(described(item, evaluations.get(item.file)) for item in profiles),
        device_after=after,
        blocks_missing=hearing.blocks_missing,
        precision_asked=measuring.precision,
    )


def _tell_push(narrator: Narrator, files: Sequence[Path], file: Path, sent: int, size: int) -> None:
    if file not in files:  # the inputs, and contracts beside their files
        return
    how = "already there" if not sent else "sent" if sent == size else f"{human_size(sent)} missing"
    narrator.line("push", f"{file.name}  {human_size(size)}   {how}")


def evaluations_of(
    contracts: Mapping[Path, Contract],
    options: ProfileOptions,
    narrator: Narrator,
    *,
    answer: Answer,
) -> dict[str, Evaluation]:
    """Accuracy by file; files with random weights have none."""
    if options.evaluations:
        return {item.file: item for item in options.evaluations}
    real = [path for path, contract in contracts.items() if not contract.random_weights]
    if options.data is None or not real:
        return {}
    chosen = EvaluateOptions(
        data=options.data,
        table=options.table,
        engine=options.measuring.engine,
        threads=options.measuring.threads,
        class_offset=options.class_offset,
        contract=options.contract,
    )
    groups: dict[str, list[Path]] = {}
    for path in real:
        groups.setdefault(contracts[path].name, []).append(path)
    found = (
        evaluated(
            group,
            dataclasses.replace(chosen, against=_reference(group, contracts)),
            narrator,
            answer=answer,
        )
        for group in groups.values()
    )
    return {item.file: item for items in found for item in items}


def _reference(group: Sequence[Path], contracts: Mapping[Path, Contract]) -> Path:
    """What the files of one network are paired with: its FP32 file, else the first."""
    precisions = (str(contracts[path].provenance.get("precision", "fp32")) for path in group)
    floats = [path for path, kind in zip(group, precisions, strict=True) if kind == "fp32"]
    return floats[0] if floats else group[0]


def inputs_of(options: ProfileOptions, contracts: Mapping[Path, Contract]) -> tuple[Given, ...]:
    """Real images in turn, so that no cache sees the same one twice; procedural ones by default.

    Sounds where the files listen; raises UsageError where they do not all take the same.
    """
    specs = [contract.preprocess for contract in contracts.values()]
    listens = specs[0].melspectrogram
    if any(spec.melspectrogram != listens for spec in specs):
        raise UsageError(
            "files that listen and files that look, or that listen to other sounds, are not "
            "measured side by side",
            hint="profile each kind for itself",
        )
    source = options.images or options.data
    if source is not None:
        return tuple(read_input(path, specs[0]) for path in listed_images(source)[:PROFILE_IMAGES])
    if listens is not None:
        seconds, rate_hz = listens.seconds, listens.rate_hz
        return tuple(draw_tones(PROFILE_IMAGES, seconds=seconds, rate_hz=rate_hz, seed=2))
    height, width = _FRAME
    return tuple(natural_images(PROFILE_IMAGES, height=height, width=width, seed=2))


def described(profile: Profile, accuracy: Evaluation | None) -> Profile:
    """A profile with what is known of its file besides its speed."""
    path, layers = Path(profile.file), profile.layers
    if layers:
        layers = joined(layers, path, batch=profile.measurement.batch)
    profile = dataclasses.replace(profile, accuracy=accuracy, layers=layers)
    try:
        size = size_of(path)
    except (ModelError, FileError):
        return profile  # an engine that runs it has seen more in it than we can count
    return dataclasses.replace(profile, parameters=size.parameters, macs=size.macs)
