"""What the README and the docs say can be typed: every command parses, the tour runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from PIL import Image

from edgecnn.cli.app import cli, run
from edgecnn.datasets.natural import natural_images

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
COMMAND = re.compile(r"^\$?\s*(edgecnn [a-z][^#\n`]*)", re.MULTILINE)


def commands(page: Path) -> list[str]:
    """The commands in a page's code blocks."""
    blocks = re.findall(r"```(?:sh)?\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    return [found.strip() for block in blocks for found in COMMAND.findall(block)]


ALL = [(page.name, command) for page in PAGES for command in commands(page)]


def test_there_are_commands_to_check() -> None:
    assert len([command for name, command in ALL if name == "README.md"]) > 8


@pytest.mark.parametrize(("page", "command"), ALL)
def test_every_command_in_the_docs_can_be_typed(page: str, command: str) -> None:
    _, verb, *arguments = shlex.split(command)
    found: click.Command = cli.commands[verb]
    if isinstance(found, click.Group):
        found, arguments = found.commands[arguments[0]], arguments[1:]
    found.make_context(verb, arguments)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.slow
def test_the_tour_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path / "cache"))
    for folder in ("photos", "labelled/3", "labelled/7"):
        Path(folder).mkdir(parents=True)
        seed = len(folder)
        for index, image in enumerate(natural_images(20, height=240, width=320, seed=seed)):
            Image.fromarray(image).save(f"{folder}/{index}.jpg", quality=95)
    Path("photos/0.jpg").rename("cat.jpg")
    tour = [words for name, words in ALL if name == "README.md" and "efficientnet_lite0" in words]
    told = {words.split(" -")[0] for words in tour}
    assert len(told) >= 6
    done: set[str] = set()
    for words in tour:
        verb = shlex.split(words)[1]
        if verb in done or verb == "run":  # told twice: once as a list, once with its output
            continue
        done.add(verb)
        assert run(shlex.split(words)[1:]) == 0, capsys.readouterr().err
    assert {"export", "quantize", "evaluate", "profile", "classify", "verify"} <= done
