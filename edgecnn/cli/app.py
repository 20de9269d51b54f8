"""The command `edgecnn`: its verbs, and how an error leaves it."""

from __future__ import annotations

import os
import sys
import traceback

import click

from edgecnn import __version__
from edgecnn.cli import (
    build,
    calibrate,
    choose,
    demo,
    devices,
    evaluate,
    explain,
    half,
    keep,
    look,
    make,
    models,
    profile,
    quantize,
    recipes,
    reports,
    shrink,
    train,
    use,
)
from edgecnn.cli.speak import printable
from edgecnn.errors import EdgecnnError

INTERRUPTED = 130


class VerbsInOrder(click.Group):
    """Lists the verbs in the order of the work, not of the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs as they were added."""
        return list(self.commands)


@click.group(
    cls=VerbsInOrder,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with:  edgecnn demo",
)
@click.version_option(__version__, prog_name="edgecnn")
def cli() -> None:
    """Take a CNN from PyTorch to a camera on an edge device.

    \b
    edgecnn export mobilenetv2                                PyTorch -> mobilenetv2.onnx
    edgecnn quantize mobilenetv2.onnx --calibration photos/   -> mobilenetv2.int8.onnx
    edgecnn evaluate mobilenetv2.int8.onnx --data labelled/   accuracy of the shipped file
    edgecnn profile mobilenetv2.onnx mobilenetv2.int8.onnx    latency against accuracy
    edgecnn classify mobilenetv2.int8.onnx cat.jpg            use it
    """  # noqa: D301  \b is click's word for 'do not wrap'


for command in (
    models.models,
    look.inspect,
    make.export,
    calibrate.calibrate,
    quantize.quantize,
    half.half,
    shrink.shrink,
    build.compile_,
    evaluate.evaluate,
    profile.profile,
    reports.report,
    choose.choose,
    explain.explain,
    use.classify,
    use.verify,
    recipes.run_recipe,
    train.train,
    devices.devices,
    devices.doctor,
    keep.cache,
    demo.demo,
):
    cli.add_command(command)


def run(arguments: list[str]) -> int:
    """Run the command line; returns the exit code: 0 done, 1 it failed, 2 asked wrongly."""
    debug = "--debug" in arguments
    try:
        cli.main(args=arguments, prog_name="edgecnn", standalone_mode=False)
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted: nothing half-written is left.", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has gone (edgecnn models | head); keep the interpreter's exit quiet too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        return _tell(error, debug=debug)
    return 0


def _tell(error: Exception, *, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    ours = error if isinstance(error, EdgecnnError) else _translated(error)
    click.echo(f"Error: {_one_line(str(ours))}", err=True)
    click.echo(f"Hint:  {_one_line(ours.hint)}", err=True)
    return ours.exit_code


def _translated(error: Exception) -> EdgecnnError:
    """Whatever else happens is said as plainly as we can; the traceback is for --debug."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return EdgecnnError(f"{where}{error.strerror}", hint="check the path and the space on it")
    if isinstance(error, MemoryError):
        return EdgecnnError("out of memory", hint="fewer files, a smaller model or --batch 1")
    if isinstance(error, ModuleNotFoundError):
        return EdgecnnError(
            f"{error.name} is not installed", hint="pip install 'edgecnn[toolkit,report]'"
        )
    cause = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return EdgecnnError(f"unexpected: {cause}", hint="run it again with --debug and report it")


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))
