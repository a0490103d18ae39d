"""The CPUs that a control group gives a process: torch counts cores alone, and so has too many threads there."""

from collections.abc import Iterator
from pathlib import Path

GROUPS, MOUNT = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def cpu_quota(groups: Path = GROUPS, mount: Path = MOUNT) -> float | None:
    """CPUs' worth of time that this process may use; None: all that there are.

    It is the least over its group and all above it, of version 1 or 2. A container sees its own as the uppermost.

    Args:
        groups: which names the groups of this process.
        mount: where the groups are files.
    """
    try:
        lines = groups.read_text("utf-8").splitlines()
    except OSError:  # no Linux
        return None
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            found += [_share(*text.split()) for text in _read(mount, path, "cpu.max")]
        elif "cpu" in controllers.split(","):
            both = (_read(mount / controllers, path, f"cpu.cfs_{name}_us") for name in ("quota", "period"))
            found += [_share(quota, period) for quota, period in zip(*both, strict=True)]
    return min((share for share in found if share is not None), default=None)


def _read(mount: Path, path: str, name: str) -> Iterator[str]:
    """The file of a group and of each above it, as far as they can be seen from here."""
    group = mount / path.lstrip("/")
    for folder in [group, *group.parents]:
        if folder.is_relative_to(mount) and (file := folder / name).is_file():
            yield file.read_text("utf-8").strip()


def _share(quota: str, period: str) -> float | None:
    return None if quota in ("max", "-1") else int(quota) / int(period)
