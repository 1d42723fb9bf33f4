"""Files appear whole or not at all."""

import subprocess
import sys
from pathlib import Path

import pytest

from overlens.atomic import new_folder, remove_partials, replaced_text, sole_writer, write_json
from overlens.errors import StoreError


def test_a_file_keeps_its_old_content_when_writing_fails(tmp_path: Path):
    path = tmp_path / "result.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="half way"), replaced_text(path) as stream:
        stream.write("new, but not all of it")
        raise RuntimeError("half way")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_only_when_it_is_full(tmp_path: Path):
    path = tmp_path / "shard"
    with new_folder(path) as partial:
        (partial / "rows").write_text("1")
        assert not path.exists()
    assert (path / "rows").read_text() == "1"


def test_leftovers_of_a_killed_run_are_removed(tmp_path: Path):
    killed = (
        "import os; from pathlib import Path; from overlens.atomic import new_folder, replaced_text\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "with new_folder(folder / 'shard') as partial, replaced_text(folder / 'file') as stream:\n"
        "    (partial / 'rows').write_text('1'); stream.write('x'); stream.flush(); os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", killed], check=False).returncode == 9
    assert len(list(tmp_path.iterdir())) == 2
    remove_partials(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_second_run_in_the_same_folder_is_refused(tmp_path: Path):
    pytest.importorskip("fcntl", reason="file locks need fcntl")
    mark = tmp_path / "x" / ".lock"
    with sole_writer(mark), pytest.raises(StoreError, match="another run is writing"), sole_writer(mark):
        pass
    with sole_writer(mark):
        pass


def test_json_refuses_what_json_cannot_hold(tmp_path: Path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"share": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_what_the_system_refuses_is_said_with_the_way_out(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    for writing in (replaced_text, new_folder, sole_writer):
        with (
            pytest.raises(StoreError, match=r"cannot write .*x: (Not a directory|File exists); .*--output PATH"),
            writing(tmp_path / "file" / "x"),
        ):
            pass


def test_a_full_disk_leaves_the_old_file(tmp_path: Path):
    resource = pytest.importorskip("resource", reason="limits of file sizes are POSIX")
    path = tmp_path / "result.txt"
    path.write_text("old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(StoreError, match="File too large"), replaced_text(path) as stream:
            stream.write("x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
