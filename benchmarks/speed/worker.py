"""One side at work, in a process of its environment: reads orders as lines of JSON, answers in lines of JSON.

    {"do": "prepare", "function": "images:hash_with_imagehash", "folder": ..., "options": {...}, "libraries": [...]}
    {"do": "run"}

Whatever the libraries print goes to stderr. The clock runs around the job alone; peak memory is that of the whole
process since it began: interpreter, libraries, data and mapped pages.
"""

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from speed.records import Answer

Job = Callable[[], Answer]


def main() -> None:
    """Obey until the orders end."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # stdout is for answers only
    job: Job | None = None
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if order["do"] == "prepare":
                job = prepare(order)
                reply = {"versions": versions(order["libraries"])}
            else:
                reply = run(job)
        except Exception as error:
            traceback.print_exc()
            reply = {"failure": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
        answers.write(json.dumps(reply) + "\n")
        answers.flush()


def prepare(order: Mapping[str, Any]) -> Job:
    """Import the side and let it get ready."""
    module, function = order["function"].split(":")
    job: Job = getattr(import_module(f"speed.sides.{module}"), function)(Path(order["folder"]), **order["options"])
    return job


def run(job: Job | None) -> dict[str, Any]:
    """Do the job once, by the clock."""
    if job is None:
        raise RuntimeError("the side did not get ready")
    start = time.perf_counter()
    answer = job()
    elapsed = time.perf_counter() - start
    seconds = (elapsed if answer.seconds is None else answer.seconds) * answer.scale
    return {"seconds": seconds, "answer": asdict(answer), "peak_mb": peak_mb()}


def versions(libraries: list[str]) -> dict[str, str]:
    """Return the versions of installed packages."""
    found = {}
    for name in libraries:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def peak_mb() -> float:
    """Most memory that this process ever had at once."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) / 1024
    import resource  # macOS counts in bytes

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
