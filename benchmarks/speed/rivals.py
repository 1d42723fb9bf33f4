"""Install the others, one by one and each group in an environment of its own, so that one that fails costs no other.

    PYTHONPATH=benchmarks python -m speed.rivals .venv-rivals

Environments and versions are those of `requirements-rivals.txt`. What cannot be installed is written to `failed.json`,
with the reason, for the tables.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
REQUIREMENTS, CONSTRAINTS = HERE / "requirements-rivals.txt", HERE.parent / "constraints.txt"


def main() -> None:
    """Set up all environments below the folder that is named."""
    home, python = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else sys.executable
    failed: dict[str, str] = {}
    for environment, constrained, requirement in read_requirements(REQUIREMENTS.read_text()):
        interpreter = home / environment / "bin" / "python"
        if not interpreter.exists():
            subprocess.run([python, "-m", "venv", home / environment], check=True)
        reason = install(interpreter, requirement, constrained)
        if reason:
            failed[f"{environment}/{requirement.split('==')[0]}"] = reason
        print(f"{environment}: {requirement}: {reason or 'installed'}", flush=True)
    (home / "failed.json").write_text(json.dumps(failed, indent=1))


def read_requirements(text: str) -> Iterator[tuple[str, bool, str]]:
    """Yield environment, whether the constraints of the project hold there, and requirement, line by line."""
    environment, constrained = "main", True
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            environment, _, rest = line[1:-1].partition(", ")
            constrained = rest != "unconstrained"
        elif line and not line.startswith("#"):
            yield environment, constrained, line


def install(interpreter: Path, requirement: str, constrained: bool) -> str:
    """Install one requirement; returns why that failed, or ""."""
    command = [interpreter, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", requirement]
    command += ["--constraint", CONSTRAINTS] if constrained else []
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        return ""
    errors = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
    return (errors or done.stderr.splitlines() or ["pip failed"])[0][:200]


if __name__ == "__main__":
    main()
