from pathlib import Path

import pytest

from consumer.evaluate.marks.marks import PostMarks, Sheet, model_name
from consumer.evaluate.pages.files import table
from producer.base.errors import CommandError

FIRST = "# placestream sheet 1 sample=abc pooled=one|p@1;two|p@2\n"
HEADER = "post_id,city,stratum,prelabel,labels,right,wrong,true_places,no_place,cannot_tell\n"


def marks(
    labels: tuple[str, ...] = ("bridge", "bar"),
    right: tuple[str, ...] = (),
    wrong: tuple[str, ...] = (),
    true_places: tuple[str, ...] = (),
    no_place: bool = False,
    cannot_tell: bool = False,
    prelabel: str | None = None,
) -> PostMarks:
    return PostMarks("1", "london", "bridge", prelabel, labels, right, wrong, true_places, no_place, cannot_tell)


@pytest.mark.parametrize(
    ("post", "verdicts"),
    [
        (marks(), "unjudged unjudged unjudged"),
        (marks(right=("bridge",)), "right unjudged unjudged"),
        (marks(wrong=("bridge",)), "wrong unjudged unjudged"),
        (marks(right=("bridge",), wrong=("bar",)), "right wrong unjudged"),
        (marks(true_places=("bar",)), "wrong right wrong"),
        (marks(right=("bridge",), true_places=("sky",)), "right wrong right"),
        (marks(no_place=True), "wrong wrong wrong"),
        (marks(right=("bridge",), wrong=("bar",), cannot_tell=True), "unjudged unjudged unjudged"),
        (marks(("bridge",), right=("bridge",), prelabel="bridge"), "right wrong wrong"),
        (marks(("bridge",), wrong=("bridge",), prelabel="bridge"), "wrong unjudged unjudged"),
        (marks(("bridge",), wrong=("bridge",), true_places=("sky",), prelabel="bridge"), "wrong wrong right"),
    ],
)
def test_a_label_is_judged_by_what_was_marked_and_never_wrong_for_want_of_marks(post: PostMarks, verdicts: str) -> None:
    assert [post.verdict(place) for place in ("bridge", "bar", "sky")] == verdicts.split()


def test_a_sheet_is_read_as_it_was_written(tmp_path: Path) -> None:
    posts = (
        marks(right=("bridge",), wrong=("bar",)),
        PostMarks("2", "são paulo, sp", None, None, ("sky",), no_place=True),
        PostMarks("3", "london", None, "bar", ("bar",), cannot_tell=True),
        PostMarks("4", "london", None, None, ("bar",), true_places=("sky", "bar")),
        PostMarks("5", "london", None, None, ("bar",), mood="positive"),
    )
    sheet = Sheet("abc", (model_name("one", "p@1"), "two|p@2"), posts, ("OnlyImg", "OnlyText, text ≥ 0.3"))
    sheet.write(tmp_path / "sheet.csv")
    assert Sheet.read(tmp_path / "sheet.csv", ("bridge", "bar", "sky")) == sheet
    assert [post.unmarked for post in posts] == [False, False, False, False, True]


def test_a_sheet_from_before_moods_has_none_and_another_mood_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    path.write_text(FIRST + HEADER + "1,london,,,bar,,,,,\n")
    assert [post.mood for post in Sheet.read(path).posts] == [None]
    path.write_text(
        FIRST + HEADER.replace("tell", "tell,mood") + "1,london,,,bar,,,,,,Neutral\n2,london,,,bar,,,,,,sad\n"
    )
    with pytest.raises(CommandError, match="line 4: mood is 'sad'; it must be negative, neutral, positive or empty"):
        Sheet.read(path)


def test_a_spreadsheet_computes_no_id_and_reads_accents(tmp_path: Path) -> None:
    posts = tuple(
        PostMarks(post_id, "são", None, None, ("bar",)) for post_id in ("=1+1", "-Abc", "@x", "+1", "'=x", "'a")
    )
    Sheet("abc", ("one|p@1",), posts).write(tmp_path / "sheet.csv")
    content = (tmp_path / "sheet.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf# placestream sheet")
    written = [line.split(",")[0] for line in content.decode("utf-8-sig").splitlines()[2:]]
    assert written == ["'=1+1", "'-Abc", "'@x", "'+1", "''=x", "'a"]
    assert Sheet.read(tmp_path / "sheet.csv").posts == posts


def test_numbers_stay_numbers_in_a_table() -> None:
    assert table(("a", "b"), [(-0.5, float("nan")), (None, -1)]) == "a,b\n-0.5,\n,-1\n"


def test_a_sheet_that_a_spreadsheet_saved_is_read(tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    names = ("OnlyText, text ≥ 0.3", "OnlyImg")
    by = f" by={';'.join(names)}"
    for first in (
        FIRST.rstrip() + by + ",,,,",
        f'"{FIRST.rstrip()}{by}",',
        f'"{FIRST.rstrip()} by=OnlyText"," text ≥ 0.3;OnlyImg"',
    ):
        path.write_text(first + "\n" + HEADER)
        assert (Sheet.read(path).pooled, Sheet.read(path).ensembles) == (("one|p@1", "two|p@2"), names)
    text = FIRST.rstrip() + ",,,,,,,,,\n" + HEADER + "1,london,,,bar|sky,bar,sky,,,\n"
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    sheet = Sheet.read(path)
    assert sheet.pooled == ("one|p@1", "two|p@2")
    assert sheet.posts == (PostMarks("1", "london", None, None, ("bar", "sky"), ("bar",), ("sky",)),)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "windows-1252"])
@pytest.mark.parametrize("delimiter", [";", "\t", ","])
@pytest.mark.parametrize(("yes", "no"), [("yes", ""), ("WAHR", "FALSCH"), ("TRUE", "FALSE"), ("Vrai", "no")])
def test_a_sheet_is_read_with_the_marks_and_in_the_encoding_of_a_spreadsheet(
    tmp_path: Path, encoding: str, delimiter: str, yes: str, no: str, caplog: pytest.LogCaptureFixture
) -> None:
    rows = HEADER + f"1,são paulo,,,bar|sky,,,,{yes},{no}\n2,são paulo,,,bar,,,,{no},{yes}\n"
    text = f'"{FIRST.rstrip()}"' + delimiter * 9 + "\n" + rows.replace(",", delimiter)
    (tmp_path / "sheet.csv").write_bytes(text.replace("\n", "\r\n").encode(encoding))
    sheet = Sheet.read(tmp_path / "sheet.csv")
    assert (sheet.sample, sheet.pooled) == ("abc", ("one|p@1", "two|p@2"))
    assert sheet.posts == (
        PostMarks("1", "são paulo", None, None, ("bar", "sky"), no_place=True),
        PostMarks("2", "são paulo", None, None, ("bar",), cannot_tell=True),
    )
    assert ("no UTF-8, read as Windows-1252" in caplog.text) is (encoding == "windows-1252")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("post_id,city\n", "line 1: no sheet of this version"),
        (FIRST + "post_id,city,labels\n", "line 2: no column stratum, prelabel, right"),
        (FIRST + HEADER + "1,london,,,bar,,,,,\n2,london,,,castle,,,,,\n", "line 4: 'castle' is no class"),
        (FIRST + HEADER + "1,london,,,bar,,,castle,,\n", "line 3: 'castle' is no class"),
        (FIRST + HEADER + "1,london,,,bar,sky,,,,\n", "line 3: 'sky' is marked, but was not proposed"),
        (FIRST + HEADER + "1,london,,,bar,bar,bar,,,\n", "line 3: 'bar' is marked both right and wrong"),
        (FIRST + HEADER + "1,london,,,bar,,bar,bar,,\n", "line 3: 'bar' is marked both right and wrong"),
        (FIRST + HEADER + "1,london,,,bar,bar,,,yes,\n", "line 3: 'bar' is marked right, but also that there is no"),
        (FIRST + HEADER + "1,london,,,bar,,,,maybe,\n", "line 3: no_place is 'maybe'; it must be 'yes' or empty"),
        (FIRST + HEADER + "1,london,,,bar,,,,,\n1,london,,,bar,,,,,\n", "line 4: post 1 is there twice"),
        (FIRST + HEADER + ",london,,,bar,,,,,\n", "line 3: no post_id"),
    ],
)
def test_a_broken_sheet_is_one_line_that_says_where(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "sheet.csv"
    path.write_text(text)
    with pytest.raises(CommandError, match="sheet.csv") as error:
        Sheet.read(path, ("bar", "sky"))
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_no_sheet_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        Sheet.read(tmp_path / "none.csv")
