"""What the figures were measured on: processor, cores, memory, system and versions; nothing that names the machine.

Also how busy other programs kept it meanwhile.
"""

import os
import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from overlens.cores import available_cores

LIBRARIES = ("overlens", "numpy", "numba", "pillow", "openvino", "scipy", "openTSNE", "umap-learn")
INSTRUCTIONS = {"avx2": "AVX2", "avx512f": "AVX-512", "avx512_bf16": "AVX-512 BF16", "amx_bf16": "AMX BF16"}


def describe_machine() -> dict[str, str]:
    """Return what is worth knowing, in the order of the table."""
    facts = _processor_facts()
    found = {"Processor": facts.get("model name", platform.processor() or platform.machine())}
    has = [name for flag, name in INSTRUCTIONS.items() if flag in facts.get("flags", "").split()]
    if has:
        found["Instructions"] = ", ".join(has)
    if "cache size" in facts:
        found["Cache"] = facts["cache size"]
    found["Cores used"] = str(available_cores())
    found["Memory"] = f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    found["System"] = f"{platform.system()} {platform.release().split('-')[0]}, Python {sys.version.split()[0]}"
    return found


def own_versions() -> dict[str, str]:
    """Return the versions of what overlens ran with."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


class OtherLoad:
    """How much of the cores other programs take, from when it is made until it is asked."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._busy, self._own = _busy_seconds(), _own_seconds()

    def share(self) -> float:
        """Return it, 0 to 1; children count as own once they have ended. 0 where the system does not tell."""
        others = (_busy_seconds() - self._busy) - (_own_seconds() - self._own)
        return max(0.0, others / ((time.perf_counter() - self._start) * (os.cpu_count() or 1)))


def _busy_seconds() -> float:
    path = Path("/proc/stat")
    if not path.exists():
        return 0.0
    user, nice, system, _, _, irq, soft_irq, steal = map(int, path.read_text().split()[1:9])
    return (user + nice + system + irq + soft_irq + steal) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _processor_facts() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {}
    lines = path.read_text().split("\n\n")[0].splitlines()
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
