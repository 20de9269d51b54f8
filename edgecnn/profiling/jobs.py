"""What a worker of a fleet does for a profile or an evaluation: on itself, as on any device.

Both take their files by name: `model_0`, `contract_0`, `model_1`, ..., and `frames`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from edgecnn.devices import LocalDevice
from edgecnn.devices.conversation import START_TIMEOUT_S, Conversation
from edgecnn.devices.facts import facts_of
from edgecnn.profiling.records import Report
from edgecnn.profiling.report import profile_document, summarize
from edgecnn.profiling.run import Options, profile_files
from edgecnn.runtime.worker import read_contract_file, read_frames


def profile_job(arguments: Mapping[str, Any], files: Mapping[str, Path]) -> Mapping[str, Any]:
    """Profile files on this machine; `arguments` are those of `Options`."""
    contracts = {model: read_contract_file(contract) for model, contract in _models(files)}
    device, options = LocalDevice(), Options(**arguments, contracts=contracts)
    before = facts_of(device)
    profiles = profile_files(
        list(contracts),
        device=device,
        images=list(read_frames(files["frames"])),
        options=options,
    )
    report = Report(
        device=before,
        device_name=device.name,
        created=datetime.now().astimezone(),
        profiles=profiles,
        device_after=facts_of(device),
        precision_asked=options.precision,
    )
    return profile_document(summarize(report))


def classes_job(arguments: Mapping[str, Any], files: Mapping[str, Path]) -> Mapping[str, Any]:
    """Name the classes of frames with each file; `arguments` are engine and threads."""
    answers = []
    for model, contract in _models(files):
        verb = ["classes", str(model), "--contract", str(contract)]
        verb += ["--engine", str(arguments["engine"])]
        if arguments["threads"] is not None:
            verb += ["--threads", str(arguments["threads"])]
        with Conversation(LocalDevice(), verb, file=str(model)) as talk:
            ready = talk.hear(dict, timeout_s=START_TIMEOUT_S)
            talk.ask({"frames": str(files["frames"])})
            answers.append(ready | talk.hear(dict, timeout_s=START_TIMEOUT_S))
    return {"answers": answers}


def _models(files: Mapping[str, Path]) -> Iterator[tuple[Path, Path]]:
    for index in range(len(files)):
        if f"model_{index}" in files:
            yield files[f"model_{index}"], files[f"contract_{index}"]
