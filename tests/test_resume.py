"""A run that is killed anywhere and started again ends with the same bytes as one that was not."""

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from overlens.testing import write_pictures

N_KILLS = 10


def command(data: Path, output: Path) -> list[str]:
    datasets = [f"--datasets={name}={data / name}" for name in ("one", "two")]
    options = ["--clip-model=offline", "--projections=tsne", "--generate-few-shot", "--evaluate-cross-dataset"]
    return [sys.executable, "-m", "overlens", "compute", *datasets, *options, f"--output={output}"]


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def run_for(seconds: float, data: Path, output: Path) -> bool:
    """Start the run and kill it after `seconds`; return whether it was still running then."""
    run = subprocess.Popen(command(data, output), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        run.wait(seconds)
    except subprocess.TimeoutExpired:
        run.send_signal(signal.SIGKILL)
        run.wait()
        return True
    return False


@pytest.mark.slow
def test_ten_killed_runs_and_one_more_give_the_bytes_of_an_undisturbed_run(tmp_path: Path):
    data = tmp_path / "data"
    write_pictures(data / "one", range(300))
    write_pictures(data / "two", range(280, 400))
    whole, killed = tmp_path / "whole", tmp_path / "output"
    start = time.perf_counter()
    subprocess.run(command(data, killed), check=True, capture_output=True)
    seconds = time.perf_counter() - start
    killed.rename(whole)  # the report names the command, so both runs have the same
    generator = random.Random(20)
    n_kills = 0
    while n_kills < N_KILLS:
        if run_for(generator.uniform(0.2, 1.0) * seconds, data, killed):
            n_kills += 1
        else:
            # It came to its end before: the next runs start anew, and are killed sooner.
            shutil.rmtree(killed)
            seconds *= 0.8
    subprocess.run(command(data, killed), check=True, capture_output=True)
    found, wanted = tree(killed), tree(whole)
    assert found.keys() == wanted.keys()
    assert [name for name in wanted if found[name] != wanted[name]] == []
