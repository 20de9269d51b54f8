"""The cache gives back what was built, builds it once, and never a half of it."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from edgecnn.errors import FileError, UsageError
from edgecnn.runtime import cache

KEY = {"sha256": "abc", "engine": "toy 1.0"}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write_engine(folder: Path) -> None:
    (folder / "engine.bin").write_text("engine")


def entry(key: dict[str, str]) -> tuple[Path, bool]:
    return cache.engine_entry(key, write_engine, about="toy")


def test_the_second_time_nothing_is_built() -> None:
    folder, built = entry(KEY)
    assert (folder / "engine.bin").read_text() == "engine"
    assert built
    assert entry(KEY) == (folder, False)


def test_another_version_of_the_engine_is_another_entry() -> None:
    assert entry(KEY)[0] != entry(KEY | {"engine": "toy 1.1"})[0]


def test_a_damaged_entry_is_built_again() -> None:
    folder, _ = entry(KEY)
    (folder / "engine.bin").write_text("tampered")
    assert entry(KEY) == (folder, True)
    assert (folder / "engine.bin").read_text() == "engine"


def test_a_failed_build_leaves_nothing(own_cache: Path) -> None:
    def fail(folder: Path) -> None:
        write_engine(folder)
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011  any will do
        cache.engine_entry(KEY, fail, about="toy")
    assert not [path for path in (own_cache / "engines").iterdir() if path.is_dir()]
    assert entry(KEY)[1]


def _build_slowly(marks: str) -> None:
    def build(folder: Path) -> None:
        Path(marks, str(os.getpid())).touch()
        time.sleep(0.3)
        write_engine(folder)

    cache.engine_entry(KEY, build, about="toy")


def test_processes_that_start_together_build_once(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_build_slowly, args=(str(marks),)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0, 0]
    assert len(list(marks.iterdir())) == 1


def test_a_killed_build_leaves_a_cache_that_works(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    worker = multiprocessing.get_context("spawn").Process(target=_build_slowly, args=(str(marks),))
    worker.start()
    while not list(marks.iterdir()):
        time.sleep(0.01)
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    assert cache.entries() == ()
    folder, built = entry(KEY)
    assert built
    assert [path for path in folder.parent.iterdir() if path.is_dir()] == [folder]


def used_days_ago(days: float, key: dict[str, str] = KEY) -> Path:
    """An engine of 1000 bytes that was used for the last time so long ago."""
    folder, _ = cache.engine_entry(key, lambda at: write_bytes(at, 1000), about="toy")
    then = time.time() - days * 86_400
    os.utime(folder / "about.json", (then, then))
    return folder


def write_bytes(folder: Path, size: int) -> None:
    (folder / "engine.bin").write_bytes(bytes(size))


def test_the_longest_unused_engines_make_room_and_none_of_the_day(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folders = {days: used_days_ago(days, KEY | {"days": str(days)}) for days in (0.9, 2, 3, 4)}
    monkeypatch.setenv("EDGECNN_CACHE_LIMIT_GB", "3e-6")  # 3 kB: two of them, and the new one
    newest, _ = entry(KEY)
    assert {days for days, folder in folders.items() if folder.exists()} == {0.9, 2}
    monkeypatch.setenv("EDGECNN_CACHE_LIMIT_GB", "0")
    entry(KEY | {"engine": "toy 1.1"})
    assert {days for days, folder in folders.items() if folder.exists()} == {0.9}
    assert newest.exists()
    assert all(path.suffix == ".lock" for path in newest.parent.glob(".*")), "nothing lies aside"


def test_an_engine_that_is_used_stays_whatever_the_system_notes_of_accesses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = used_days_ago(30)
    assert cache.existing_entry(KEY) == folder
    monkeypatch.setenv("EDGECNN_CACHE_LIMIT_GB", "0")
    entry(KEY | {"engine": "toy 1.1"})
    assert folder.exists()
    (kept,) = (item for item in cache.entries() if item.path == folder)
    assert time.time() - kept.used_s < 60


def test_a_use_is_noted_once_an_hour() -> None:
    folder = used_days_ago(0.5 / 24)
    before = (folder / "about.json").stat().st_mtime
    assert not entry(KEY)[1]
    assert (folder / "about.json").stat().st_mtime == before


def test_under_the_limit_old_engines_stay_and_what_a_killed_build_left_goes(
    own_cache: Path,
) -> None:
    folder = used_days_ago(300)
    scratch = {days: own_cache / "engines" / f".abc-{days}" for days in (0, 2)}
    for days, left in scratch.items():
        left.mkdir()
        os.utime(left, (time.time() - days * 86_400,) * 2)
    entry(KEY | {"engine": "toy 1.1"})
    assert folder.exists()
    assert scratch[0].exists(), "somebody may be building there"
    assert not scratch[2].exists()


@pytest.mark.parametrize("limit", ["much", "-1", "nan", "inf"])
def test_a_limit_that_is_no_size_is_refused(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_CACHE_LIMIT_GB", limit)
    with pytest.raises(UsageError, match="is no size in GB"):
        entry(KEY)


def test_entries_are_listed_and_cleared(own_cache: Path) -> None:
    entry(KEY)
    (own_cache / "weights").mkdir()
    (own_cache / "weights" / "net.pth").write_bytes(b"12345")
    (own_cache / "notes.txt").write_text("mine")
    assert {(item.kind, item.about) for item in cache.entries()} == {
        ("engine", "toy"),
        ("weights", "net.pth"),
    }
    assert cache.clear() > 5
    assert cache.entries() == ()
    assert (own_cache / "notes.txt").exists()


def test_a_place_that_cannot_be_a_cache_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path / "file"))
    with pytest.raises(FileError, match="the cache cannot be written"):
        entry(KEY)


def test_the_place_follows_xdg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGECNN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.cache_dir() == tmp_path / "edgecnn"


def facts(text: str) -> cache.Facts:
    return {"sha256": hashlib.sha256(text.encode()).hexdigest(), "contract": None}


def test_what_was_found_is_remembered_while_the_file_stays_as_it_is(
    tmp_path: Path, own_cache: Path
) -> None:
    path = tmp_path / "file"
    asked: list[str] = []

    def remembered(text: str) -> cache.Facts:
        def look() -> tuple[cache.Facts, bool]:
            asked.append(text)
            return facts(text), True

        return cache.remembered(path, look, settled_ns=0)

    path.write_text("first")
    assert remembered("first") == remembered("first") == facts("first")
    path.write_text("other")
    assert remembered("other") == facts("other")
    assert asked == ["first", "other"]
    for damage in ("", "[1]", "{}"):
        for known in (own_cache / "hashes").iterdir():
            known.write_text(damage)
        assert remembered("other") == facts("other"), damage
    cache.clear()
    remembered("other")
    assert asked == ["first", *["other"] * 5]


def test_nothing_is_remembered_of_a_file_that_may_still_change_nor_without_a_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("just now")
    assert cache.remembered(path, lambda: (facts("a"), True)) == facts("a")
    assert cache.remembered(path, lambda: (facts("b"), True)) == facts("b")
    for letter in "xy":  # weights in other files may change without this one
        found = cache.remembered(path, lambda: (facts(letter), False), settled_ns=0)  # noqa: B023
        assert found == facts(letter)
    monkeypatch.setenv("EDGECNN_CACHE", str(path))
    assert cache.remembered(path, lambda: (facts("c"), True), settled_ns=0) == facts("c")
    assert cache.remembered(path, lambda: (facts("d"), True), settled_ns=0) == facts("d")
    path.unlink()
    with pytest.raises(FileError, match="file"):
        cache.remembered(path, lambda: (facts("e"), True))
