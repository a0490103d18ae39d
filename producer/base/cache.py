"""The folder for what may be fetched or computed again."""

import os
from pathlib import Path

from producer.base.errors import CommandError


def cache_folder(*parts: str) -> Path:
    """A folder in ``placestream`` below XDG_CACHE_HOME or ~/.cache; it is made. Whatever is in it may be deleted.

    Raises:
        CommandError: it cannot be made.
    """
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").joinpath("placestream", *parts)
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:  # the latter: there is no home
        raise CommandError(
            f"no place for a cache: {error}; set XDG_CACHE_HOME to a folder that can be written"
        ) from None
    return folder
