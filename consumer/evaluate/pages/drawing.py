"""What all figures have in common: colours that everybody can tell apart, text as it is, a PNG at the end."""

import io
import warnings

from matplotlib.figure import Figure

OKABE_ITO = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c6d31", "#7f7f7f")
"""Okabe and Ito's palette (and two more), for any colour vision; lines differ in dashes and markers as well."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (7, 2)), (0, (4, 2, 1, 2)))
MUTED = "#555555"


def plain(text: str) -> str:
    """Text as it is: matplotlib would take what lies between two dollars for a formula."""
    return text.replace("$", r"\$")


def png(figure: Figure) -> bytes:
    """The figure as PNG; without the time of making, so that the same figures give the same bytes."""
    for axes in figure.axes:
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    written = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # names of cities, in any script
        figure.savefig(written, format="png", dpi=140, metadata={"Software": None})
    return written.getvalue()
