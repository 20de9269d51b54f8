"""Claim: the report of 20 files with 5,000 samples each is under 8 MB and opens within 2 s.

    make bench-report        or        python -m benchmarks.report_opening

The profiles are made up, with clocks, heat and 80 layers each; real is the browser: headless
Chromium with a fresh profile opens the page, and the time is the page's own, from the start of the
navigation until every plot in view is drawn; the rest follows while one reads. Three times, at two
widths.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgecnn.profiling.layers import TimedLayers
from edgecnn.profiling.records import Profile
from edgecnn.profiling.report import html_page, summarize
from tests.profiling.made_up import LAYERS, made_up_profile, made_up_report, with_layers
from tests.profiling.test_report_html import on_a_board

MOST_BYTES = 8_000_000
MOST_MS = 2000
WIDTHS = (1280, 420)
TIMES = 3

# Asked by the page itself, as often as the screen is drawn: nothing else runs in between.
PROBE = """<script>
const told = {};
const look = () => {
  for (const what of ["shown", "drawn"]) {
    if (document.documentElement.dataset[what]) told[what] ??= performance.now();
  }
  if (told.drawn) console.log(`shown after ${told.shown} ms, drawn after ${told.drawn} ms`);
  else requestAnimationFrame(look);
};
look();
</script></body>"""


def page() -> str:
    """Ten networks, FP32 and INT8, each with the names and the numbers of a long run."""
    return html_page(summarize(made_up_report(*_profiles())))


def _profiles() -> Iterator[Profile]:
    found = TimedLayers(LAYERS.layers * 27, 4.1, 4.2, 100)
    for index in range(10):
        for kind, share in (("fp32", 1.0), ("int8", 0.5)):
            p50_ms, top1 = (4 + 3 * index) * share, 0.65 + 0.015 * index
            made = made_up_profile(f"network_{index}", kind, p50_ms=p50_ms, top1=top1, runs=417)
            yield with_layers(
                dataclasses.replace(on_a_board(made), macs=10**8 * (1 + index)), found
            )


def opened_after_ms(chromium: str, file: Path, *, width: int) -> tuple[float, float]:
    """When all in view was drawn, and when the rest was, by the page's own clock.

    Raises RuntimeError where the page complains.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = subprocess.Popen(
            [
                chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                "--disable-background-networking", "--disable-dev-shm-usage",
                "--enable-logging=stderr", f"--user-data-dir={profile}",
                f"--window-size={width},900", "--remote-debugging-port=0", file.as_uri(),
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            start_new_session=True,  # it has children of its own
        )  # fmt: skip
        assert browser.stderr is not None
        try:
            for line in browser.stderr:
                if found := re.search(r"shown after (\S+) ms, drawn after (\S+) ms", line):
                    return float(found[1]), float(found[2])
                if "CONSOLE" in line:
                    raise RuntimeError(line.strip())
        finally:
            os.killpg(browser.pid, signal.SIGKILL)
            browser.wait()
    raise RuntimeError("the browser ended before all was drawn")


def main() -> int:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print("chromium is not here: apt-get install chromium")
        return 1
    made = page()
    size = len(made.encode())
    held = size < MOST_BYTES
    print(f"claim: {size / 1e6:.1f} MB, under {MOST_BYTES / 1e6:g}: {_told(held)}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.html"
        before, _, after = made.rpartition("</body>")
        file.write_text(f"{before}{PROBE}{after}", encoding="utf-8")
        for width in WIDTHS:
            taken = [opened_after_ms(chromium, file, width=width) for _ in range(TIMES)]
            shown, drawn = (
                ", ".join(f"{ms:.0f}" for ms in times) for times in zip(*taken, strict=True)
            )
            quick = sorted(taken)[TIMES // 2][0] < MOST_MS
            held = held and quick
            print(f"claim: {width} px wide, all in view is drawn after {shown} ms (and the rest "
                  f"after {drawn}), under {MOST_MS}: {_told(quick)}", flush=True)  # fmt: skip
    return 0 if held else 1


def _told(held: bool) -> str:
    return "holds" if held else "DOES NOT HOLD"


if __name__ == "__main__":
    sys.exit(main())
