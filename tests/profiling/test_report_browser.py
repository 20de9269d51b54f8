"""The page in a real browser: every plot is drawn, tables sort, the keyboard reaches all."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from tests.profiling.made_up import made_up_profile, with_layers
from tests.profiling.test_report_html import PROFILES, STRANGER, page_of, without_library

PROBE = """<script>
addEventListener("load", () => setTimeout(() => {
  const root = document.documentElement;
  root.dataset.sideways = root.scrollWidth > root.clientWidth ? "yes" : "no";
  root.dataset.width = root.clientWidth;
  const sort = (table, title, key) => {
    const names = () => [...table.querySelectorAll("tbody th")].map((cell) => cell.textContent);
    const button = [...table.querySelectorAll("button")].find((each) => each.textContent === title);
    button.focus();
    root.dataset[`${key}Focused`] = document.activeElement === button ? "yes" : "no";
    for (const turn of ["Up", "Down"]) {
      document.activeElement.click();
      root.dataset[key + turn] = names().join("; ") + " " + button.parentElement.ariaSort;
    }
  };
  const [files, layers] = document.querySelectorAll("table.sortable");
  sort(files, "p50, ms", "files");
  for (const part of document.querySelectorAll("summary")) {
    part.focus();
    if (document.activeElement !== part) root.dataset.folded = "out of reach";
    if (!part.parentElement.open) part.click();
  }
  if (layers) sort(layers, "kB", "layers");
}, 4000));
</script></body>"""


@pytest.fixture(scope="module")
def page() -> str:
    return page_of(*PROFILES)


@pytest.fixture(scope="session")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        if "chromium" in os.environ.get("EDGECNN_REQUIRE", ""):
            pytest.fail("EDGECNN_REQUIRE asks for chromium: apt-get install chromium")
        pytest.skip("chromium is not installed")
    return found


def seen(
    chromium: str, page: str, folder: Path, *, width: int, dark: bool = False, probe: str = PROBE
) -> tuple[str, str]:
    """The page's DOM once everything is drawn, and what the browser logged."""
    file = folder / "report.html"
    before, _, after = page.rpartition("</body>")
    file.write_text(f"{before}{probe}{after}", encoding="utf-8")
    done = subprocess.run(
        [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", "--disable-dev-shm-usage", "--enable-logging=stderr",
            f"--user-data-dir={folder / 'browser'}", f"--window-size={width},900",
            "--virtual-time-budget=9000", "--dump-dom", file.as_uri(),
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout, done.stderr


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (420, True)])
def test_a_browser_draws_every_plot_and_has_nothing_to_complain_of(
    chromium: str, page: str, tmp_path: Path, width: int, dark: bool
) -> None:
    dom, log = seen(chromium, page, tmp_path, width=width, dark=dark)
    assert "CONSOLE" not in log, "no error and no warning"
    assert 'data-drawn="yes"' in dom
    pages = 1 + 1 + 1 + 3  # latency, operations, the measurement over time and its three strips
    rooflines = 2
    assert without_library(dom).count("<svg") == pages + 2 * len(PROFILES) + rooflines
    assert 'data-sideways="no"' in dom, "only the table scrolls sideways"
    for name in ("mobilenetv2", "resnet50", "vgg16"):
        assert re.search(rf"<text[^>]*>{name}</text>", dom), "labels are text, not pictures"
    assert not re.search(r"""(?:src|href)\s*=\s*["']\s*(?:https?:)?//""", without_library(dom))

    assert 'data-files-focused="yes"' in dom, "the keyboard reaches the titles that sort"
    assert 'data-layers-focused="yes"' in dom
    order = ["mobilenetv2 int8", "mobilenetv2 fp32", "resnet50 int8", "resnet50 fp32", "vgg16 int8"]
    assert f'data-files-up="{"; ".join(order)} ascending"' in dom
    assert f'data-files-down="{"; ".join(reversed(order))} descending"' in dom
    dom = unescape(dom)
    assert 'data-layers-up="<pool>; /conv; =odd ascending"' in dom
    assert 'data-layers-down="/conv; <pool>; =odd descending"' in dom, "unknown comes last"


def test_layers_that_are_folded_away_are_drawn_when_they_are_opened(
    chromium: str, tmp_path: Path
) -> None:
    many = [with_layers(made_up_profile(f"net{i}", "fp32", p50_ms=4)) for i in range(3)]
    page = page_of(*many)
    dom, log = seen(chromium, page, tmp_path, width=900)
    assert without_library(dom).count("<svg") == 1 + 2 * 3 + 3
    assert 'data-folded="out of reach"' not in dom
    assert "CONSOLE" not in log
    closed, _ = seen(chromium, page, tmp_path, width=900, probe="</body>")
    assert without_library(closed).count("<svg") == 1 + 2 * 3


def test_a_browser_runs_nobody_s_words(chromium: str, tmp_path: Path) -> None:
    # Without accuracy, so that the plot of latency alone is drawn, too.
    strangers = (made_up_profile(STRANGER, kind, p50_ms=4.4) for kind in ("fp32", "int8"))
    dom, log = seen(chromium, page_of(*strangers), tmp_path, width=1280)
    assert 'data-drawn="yes"' in dom
    assert without_library(dom).count("<svg") == 1 + 2 * 2
    assert "<img" not in without_library(dom)
    assert "CONSOLE" not in log
