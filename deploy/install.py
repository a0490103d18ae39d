"""Installs extras of Placestream into .venv, as make asks: ``python3 deploy/install.py conse local``.

It is run before anything is installed, so it uses the standard library alone. pip's own words go to .venv/install.log.
"""

import re
import subprocess
import sys
import time
import venv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

VENV = Path(".venv")
LOG = VENV / "install.log"
LARGE = 50.0
"""MB of a package that is named while it is fetched."""
SHOWN = 25
"""Last lines of the log that are shown when it failed."""

FETCHED = re.compile(r"\s*(?:Downloading|Using cached) (?:\S*/)?(\w+)-([^-]+)-\S+ \(([\d.]+) (k|M|G)B\)")
TO_MB = {"k": 0.001, "M": 1.0, "G": 1000.0}


def steps(said: Iterable[str]) -> Iterator[str]:
    """What is worth saying of what pip says: each large package that it fetches, and how many it installs."""
    for line in said:
        if (fetched := FETCHED.match(line)) and (size := float(fetched[3]) * TO_MB[fetched[4]]) >= LARGE:
            yield f"{fetched[1].replace('_', '-')} {fetched[2]} ({size:.0f} MB)"
        elif line.startswith("Installing collected packages: "):
            yield f"unpacking {line.count(',') + 1} packages"


def install(extras: list[str]) -> int:
    """Install Placestream, editable, with these extras; returns pip's exit code."""
    python = VENV / "bin" / "python"
    if not python.exists():
        venv.create(VENV, with_pip=True, symlinks=True)
    flags = ("--disable-pip-version-check", "--progress-bar=off", "--constraint=deploy/constraints.txt")
    command = [str(python), "-m", "pip", "install", *flags, f"--editable=.[{','.join(extras)}]"]
    with (
        LOG.open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip,
    ):
        for step in steps(_logged(pip.stdout or (), log)):
            print(f"  {step}", flush=True)
    return pip.returncode


def _logged(lines: Iterable[str], log: TextIO) -> Iterator[str]:
    for line in lines:
        log.write(line)
        log.flush()
        yield line


def main() -> int:
    """Install the extras named on the command line; returns the exit code."""
    extras = sys.argv[1:]
    print(f"installing into {VENV}: placestream[{','.join(extras)}]; pip's log is {LOG}", flush=True)
    started = time.monotonic()
    if install(extras):
        last = LOG.read_text(errors="replace").splitlines()[-SHOWN:]
        print(*last, f"install: pip failed; all that it said is in {LOG}", sep="\n", file=sys.stderr)
        return 1
    print(f"installed in {time.monotonic() - started:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
