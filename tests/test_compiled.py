"""Kernels work where nothing may be written."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import overlens


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
