"""Kernels work where nothing may be written, and compiling them is told when it happens."""

import importlib.util
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import overlens
from overlens import compiled
from overlens.cli.terminal import start_logging

KERNELS = """
from numba import jit, njit
from overlens.compiled import compiled

@compiled()
def double(x):
    return 2 * x

@njit
def of_this_process(x):
    return 3 * x

@jit(forceobj=True, looplift=True)
def with_a_lifted_loop(x):
    total, anything = 0, object()
    for i in range(x):
        total += i
    return total
"""


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What is said of compilation, as in a process that has compiled nothing yet."""
    compiled._tell_once.cache_clear()
    caplog.set_level(logging.INFO, "overlens.compiled")
    return caplog


def load_kernels(folder: Path) -> ModuleType:
    (folder / "kernels.py").write_text(KERNELS)
    os.utime(folder / "kernels.py", (1, 1))  # numba's cache goes by the time of change
    spec = importlib.util.spec_from_file_location("kernels", folder / "kernels.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_compilation_is_told_once_and_only_when_it_happens(tmp_path: Path, told: pytest.LogCaptureFixture):
    before = compiled.compile_seconds()
    kernels = load_kernels(tmp_path)
    assert told.messages == []
    assert (kernels.double(2), kernels.double(2.5)) == (4, 5.0)
    assert told.messages == [compiled.KEPT]
    between = compiled.compile_seconds()
    assert between > before
    compiled._tell_once.cache_clear()
    again = load_kernels(tmp_path)
    assert (again.double(2), again.double(2.5)) == (4, 5.0)
    assert told.messages == [compiled.KEPT] and compiled.compile_seconds() == between
    assert again.of_this_process(1) == 3
    assert told.messages == [compiled.KEPT], "what is never kept would be told in every run"


def test_loops_that_numba_lifts_compile_as_ever(tmp_path: Path, told: pytest.LogCaptureFixture):
    assert load_kernels(tmp_path).with_a_lifted_loop(5) == 10
    assert told.messages == []


def test_where_nothing_is_kept_that_is_told_instead(
    tmp_path: Path, told: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("numba.core.caching.CacheImpl._locator_classes", [])
    assert load_kernels(tmp_path).double(2) == 4
    assert told.messages == [compiled.NOT_KEPT]


@pytest.mark.parametrize("verbose", [False, True])
def test_the_command_line_tells_compilation_without_being_asked(
    verbose: bool, capsys: pytest.CaptureFixture[str], told: pytest.LogCaptureFixture
):
    package, module = logging.getLogger("overlens"), logging.getLogger("overlens.compiled")
    state = package.handlers, package.level, module.level
    try:
        start_logging(verbose)
        compiled._tell_once(compiled.KEPT)
        module.debug("a detail")
    finally:
        package.handlers, _, _ = state
        package.setLevel(state[1])
        module.setLevel(state[2])
    shown = capsys.readouterr().err
    assert shown.count(compiled.KEPT) == 1 and ("a detail" in shown) == verbose


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix" or shutil.which("chmod") is None, reason="needs POSIX permissions")
def test_kernels_compile_where_no_cache_can_be_written(tmp_path: Path):
    package = tmp_path / "site" / "overlens"
    shutil.copytree(Path(overlens.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    code = (
        "import os, numpy as np\n"
        "import numba.core.caching as caching\n"
        # Root may write anywhere, so the places are taken away instead of their permissions.
        "caching.CacheImpl._locator_classes = []\n"
        "from overlens.hashes.compute import compute_hash\n"
        "import overlens; assert 'site' in overlens.__file__\n"
        "print(compute_hash(np.zeros((9, 9, 3), np.uint8), 'dhash', 8).size)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "8\n", done.stderr
