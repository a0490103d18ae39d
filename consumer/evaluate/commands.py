"""The command group `evaluate`: which sub-commands there are, in the order in which one uses them."""

from importlib.util import find_spec

from producer.base.command import run
from producer.base.errors import CommandError

PACKAGES = ("jinja2", "matplotlib", "pandas", "sklearn", "statsmodels", "torchvision")
"""What the extra brings."""

COMMANDS = {
    "score": (
        "consumer.evaluate.scores.score:main",
        "store how similar each post's picture and caption are to every place",
    ),
    "prelabel": (
        "consumer.evaluate.scores.prelabel:main",
        "label a dataset's pictures by a VGG16 trained on Places205",
    ),
    "sample-a": (
        "consumer.evaluate.samples.sample_a:main",
        "draw posts of the classes frequent among scores and pre-labels",
    ),
    "sample-b": (
        "consumer.evaluate.samples.sample_b:main",
        "draw posts of the classes most frequent by the picture alone",
    ),
    "sample-c": ("consumer.evaluate.samples.sample_c:main", "draw posts of the whole dataset"),
    "sheet": ("consumer.evaluate.marks.sheet:main", "write the page on which a person marks a sample's labels"),
    "agreement": ("consumer.evaluate.marks.agreement:main", "compare two persons' marks of one sample"),
    "curves": (
        "consumer.evaluate.curves.curves:main",
        "compute accuracy, coverage and calibration from scores and marks",
    ),
    "report": ("consumer.evaluate.report.report:main", "write figures, tables and galleries as one HTML page"),
    "compare": ("consumer.evaluate.curves.compare:main", "compare two score folders on the same marks"),
    "popularity": ("consumer.cities.popularity:main", "report which places the cities photograph, with intervals"),
}


def main(argv: list[str]) -> int:
    """Run the sub-command that `argv` names.

    Args:
        argv: its name and flags.

    Returns:
        0 done, 2 wrong usage or settings, 1 anything else.

    Raises:
        CommandError: the extra is not installed.
    """
    if missing := [package for package in PACKAGES if find_spec(package) is None]:
        raise CommandError(
            f"evaluate needs the package{'s' * (len(missing) > 1)} {', '.join(missing)}: "
            "pip install 'placestream[evaluate]'"
        )
    return run("python -m consumer evaluate", COMMANDS, argv)
