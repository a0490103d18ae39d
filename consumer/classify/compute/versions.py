"""The versions of what computes: another one may round, or choose random weights, otherwise."""

from importlib.metadata import PackageNotFoundError, version

from consumer import __version__

PACKAGES = ("torch", "open_clip_torch", "transformers", "openvino")


def versions() -> tuple[str, ...]:
    """Ours, and those of the packages that are installed: part of the name of whatever is kept on disk."""
    found = [__version__]
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return tuple(found)
