"""A checkpoint is fetched once, whatever the network does, and is there only when it is right."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from edgecnn.errors import FileError, WeightsError
from edgecnn.zoo.download import download
from tests.zoo.fileserver import FileServer


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:8]


def fetch(server: FileServer, target: Path) -> None:
    download(server.url, target, sha256_prefix=sha256(server.content))


def test_a_file_arrives_whole_and_progress_counts_its_bytes(
    server: FileServer, tmp_path: Path
) -> None:
    target = tmp_path / "weights" / "net.pth"
    seen: list[tuple[int, int]] = []
    download(
        server.url,
        target,
        sha256_prefix=sha256(server.content),
        progress=lambda done, total: seen.append((done, total)),
    )
    size = len(server.content)
    assert target.read_bytes() == server.content
    assert seen[0] == (0, size)
    assert seen[-1] == (size, size)
    assert seen == sorted(seen)
    assert [path.name for path in target.parent.iterdir()] == ["net.pth"]


def test_what_is_there_is_not_fetched_again(server: FileServer, tmp_path: Path) -> None:
    target = tmp_path / "net.pth"
    fetch(server, target)
    fetch(server, target)
    assert len(server.asked) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["net.pth"]


def test_a_cut_connection_is_taken_up_where_it_broke(server: FileServer, tmp_path: Path) -> None:
    server.cuts = [300_000, 400_000]
    fetch(server, tmp_path / "net.pth")
    assert server.asked == [None, "bytes=300000-", "bytes=700000-"]
    assert (tmp_path / "net.pth").read_bytes() == server.content


def test_what_an_earlier_run_left_is_kept(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "net.pth.part").write_bytes(server.content[:1000])
    fetch(server, tmp_path / "net.pth")
    assert server.asked == ["bytes=1000-"]


def test_what_an_earlier_run_left_of_another_file_is_not(
    server: FileServer, tmp_path: Path
) -> None:
    (tmp_path / "net.pth.part").write_bytes(b"x" * 1000)
    fetch(server, tmp_path / "net.pth")
    assert server.asked == ["bytes=1000-", None]
    assert (tmp_path / "net.pth").read_bytes() == server.content


@pytest.mark.parametrize("extra", [b"", b"more"])
def test_a_partial_file_that_is_already_whole_or_too_long(
    server: FileServer, tmp_path: Path, extra: bytes
) -> None:
    (tmp_path / "net.pth.part").write_bytes(server.content + extra)
    fetch(server, tmp_path / "net.pth")
    assert (tmp_path / "net.pth").read_bytes() == server.content


def test_a_server_that_knows_no_ranges_sends_it_all_again(
    server: FileServer, tmp_path: Path
) -> None:
    server.ranges = False
    (tmp_path / "net.pth.part").write_bytes(server.content[:1000])
    fetch(server, tmp_path / "net.pth")
    assert (tmp_path / "net.pth").read_bytes() == server.content


def test_a_connection_that_gives_nothing_more_is_given_up_and_kept(
    server: FileServer, tmp_path: Path
) -> None:
    server.cuts = [500_000, 0, 0, 0]
    with pytest.raises(WeightsError, match=r"broke off after 0\.5 MB"):
        fetch(server, tmp_path / "net.pth")
    assert (tmp_path / "net.pth.part").stat().st_size == 500_000
    fetch(server, tmp_path / "net.pth")
    assert server.asked[-1] == "bytes=500000-"


def test_another_file_than_promised_is_refused_and_removed(
    server: FileServer, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError, match=r"sends another file: sha256 \w+, not 00000000"):
        download(server.url, tmp_path / "net.pth", sha256_prefix="00000000")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [403, 404, 503])
def test_an_error_page_is_not_a_checkpoint(server: FileServer, tmp_path: Path, status: int) -> None:
    server.status = status
    with pytest.raises(WeightsError, match=f"the server answers {status}"):
        fetch(server, tmp_path / "net.pth")
    assert list(tmp_path.iterdir()) == []


def test_without_a_network_the_error_says_which_file_and_where_to_put_it(tmp_path: Path) -> None:
    target = tmp_path / "weights" / "net.pth"
    url = "http://127.0.0.1:9/net.pth"  # nobody listens there
    with pytest.raises(WeightsError) as caught:
        download(url, target, sha256_prefix="00")
    assert str(caught.value) == f"{url}: cannot be reached (Connection refused)"
    assert str(target) in caught.value.hint
    assert "--weights random" in caught.value.hint
    assert list(target.parent.iterdir()) == []


def test_an_absurd_size_is_refused_before_anything_is_written(
    server: FileServer, tmp_path: Path
) -> None:
    server.declared_bytes = 1 << 50
    with pytest.raises(WeightsError, match="are no checkpoint's size"):
        download(server.url, tmp_path / "net.pth", sha256_prefix="00")
    assert list(tmp_path.iterdir()) == []


def run(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments], stdout=-1, stderr=-1, text=True
    )


def test_processes_that_start_together_download_once(server: FileServer, tmp_path: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from edgecnn.zoo.download import download
        download(sys.argv[1], Path(sys.argv[2]), sha256_prefix=sys.argv[3])
    """
    arguments = (server.url, str(tmp_path / "net.pth"), sha256(server.content))
    processes = [run(code, *arguments) for _ in range(4)]
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    assert server.asked == [None]
    assert [path.name for path in tmp_path.iterdir()] == ["net.pth"]


def test_a_full_disk_is_one_line_and_the_download_goes_on_later(
    server: FileServer, tmp_path: Path
) -> None:
    code = """
        import resource, sys
        from pathlib import Path
        from edgecnn.errors import FileError
        from edgecnn.zoo.download import download
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
        try:
            download(sys.argv[1], Path(sys.argv[2]), sha256_prefix="00")
        except FileError as error:
            print(error)
    """
    target = tmp_path / "net.pth"
    output, errors = run(code, server.url, str(target)).communicate(timeout=60)
    assert output == f"{target}: cannot be written (File too large)\n", errors
    assert not target.exists()
    fetch(server, target)
    assert target.read_bytes() == server.content
    assert (server.asked[-1] or "").startswith("bytes=")


def test_a_cache_that_is_no_folder(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("a file")
    with pytest.raises(FileError, match="cannot be written"):
        fetch(server, tmp_path / "weights" / "net.pth")
