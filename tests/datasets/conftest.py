"""Where the real images lie, for the tests that can use some."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real test data; tests that ask for it are skipped where there is none."""
    default = Path(__file__).parents[3] / "shared" / "data"
    folder = Path(os.environ.get("EDGECNN_TEST_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no test data in {folder} (EDGECNN_TEST_DATA names the folder)")
    return folder
