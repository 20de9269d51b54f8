"""What runs on a device: `python -m edgecnn.runtime facts | worker | answers | classes`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO, get_args

from edgecnn.errors import EdgecnnError
from edgecnn.runtime import worker
from edgecnn.runtime.answers import answers_document
from edgecnn.runtime.classes import name_classes
from edgecnn.runtime.facts import device_facts
from edgecnn.runtime.visits import error_reply

INTERRUPTED = 130


def main(arguments: list[str] | None = None, *, root: Path = Path("/")) -> int:
    """Run one verb; exit code 0, or 1 or 2 after an error, which is one JSON line on stdout.

    `root` is where the device's file system starts.
    """
    options = _parser().parse_args(arguments)
    with _protocol_stream() as stream:
        try:
            if options.verb == "facts":
                _write(stream, device_facts(root))
            elif options.verb == "answers":
                _write(stream, _answers(options))
            elif options.verb == "classes":
                name_classes(
                    options.file, sys.stdin, lambda reply: _write(stream, reply), **_how(options)
                )
            else:
                worker.work(_job(options, root), sys.stdin, lambda reply: _write(stream, reply))
        except EdgecnnError as error:
            _write(stream, error_reply(error))
            return error.exit_code
        except KeyboardInterrupt:
            return INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m edgecnn.runtime", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("facts", help="what this device is and what state it is in, as JSON")
    work = verbs.add_parser("worker", help="hold one file and time it when told to")
    work.add_argument("--batch", type=int)
    work.add_argument("--boundary", choices=get_args(worker.Boundary), default="engine")
    work.add_argument("--streams", type=int, help="runs at a time, for throughput")
    answer = verbs.add_parser("answers", help="what one file says to some frames, as JSON")
    name = verbs.add_parser("classes", help="name the classes of frames when told which, as JSON")
    for verb in (work, answer):
        verb.add_argument("--inputs", type=Path, required=True, help="frames as .npz")
    for verb in (work, answer, name):
        verb.add_argument("file", type=Path)
        verb.add_argument("--engine", default="onnxruntime")
        verb.add_argument("--threads", type=int)
        verb.add_argument("--contract", type=Path, help="for a file that carries none, as JSON")
    return parser


def _answers(options: argparse.Namespace) -> dict[str, Any]:
    return answers_document(options.file, worker.read_frames(options.inputs), **_how(options))


def _how(options: argparse.Namespace) -> dict[str, Any]:
    contract = worker.read_contract_file(options.contract) if options.contract else None
    return {"engine": options.engine, "threads": options.threads, "contract": contract}


def _job(options: argparse.Namespace, root: Path) -> worker.Job:
    return worker.Job(
        file=options.file,
        inputs=options.inputs,
        engine=options.engine,
        threads=options.threads,
        batch=options.batch,
        boundary=options.boundary,
        streams=options.streams,
        contract=options.contract,
        root=root,
    )


def _protocol_stream() -> TextIO:
    """Our own stdout; file descriptor 1 becomes stderr, since native libraries print to it."""
    ours = os.fdopen(os.dup(1), "w", encoding="utf-8")
    sys.stdout.flush()
    os.dup2(2, 1)
    return ours


def _write(stream: TextIO, document: Mapping[str, Any]) -> None:
    stream.write(json.dumps(document, allow_nan=False) + "\n")
    stream.flush()


if __name__ == "__main__":
    sys.exit(main())
