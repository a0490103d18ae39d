import itertools
import json
import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import pyarrow
import pytest
from pyarrow import parquet

from producer.base.errors import CommandError
from producer.dataset.entry import Entry, Refused
from producer.dataset.open import open_dataset
from tests.unit.producer.tree import ENOUGH, JPEG, MADE, OLD_ID, posts, put


@pytest.fixture(autouse=True)
def _pictures(tmp_path: Path) -> None:
    put(tmp_path / "pictures" / "a.jpg")
    put(tmp_path / "b.png", JPEG + b"b")


def row(**changes: Any) -> dict[str, Any]:
    return {"post_id": OLD_ID, "city": "rome", "image_path": "b.png", "caption": "ciao"} | changes


def jsonl(folder: Path, *rows: Any) -> Path:
    return put(folder / "posts.jsonl", "".join(json.dumps(each) + "\n" for each in rows))


def write_parquet(folder: Path, **columns: Any) -> Path:
    parquet.write_table(pyarrow.table(columns), folder / "posts.parquet")
    return folder / "posts.parquet"


def reasons(path: Path) -> list[str]:
    """Why each row of a manifest is refused, whether when it is gone through or when its picture is read."""
    found = []
    for entry in open_dataset(path).entries():
        if isinstance(entry, Refused):
            found.append(entry.reason)
        else:
            try:
                entry.read(ENOUGH)
            except Refused as refused:
                found.append(refused.reason)
    return found


def test_a_csv_is_read_in_its_own_order(tmp_path: Path) -> None:
    path = put(
        tmp_path / "posts.csv",
        "\ufeffcity,post_id,caption,image_path,created_at,more\r\n"
        f'rome,{OLD_ID},"ciao,\r\n""bella"" 🌉",pictures/a.jpg,2017-03-29T04:30:13.147+02:00,x\r\n'
        "\r\n"
        "london,007,,b.png,,\r\n",
    )
    assert [(p.post_id, p.city, p.caption, p.created_at, p.picture) for p in posts(open_dataset(path))] == [
        (OLD_ID, "rome", 'ciao,\r\n"bella" 🌉', MADE, JPEG),
        ("007", "london", None, None, JPEG + b"b"),
    ]


def test_json_lines_are_read(tmp_path: Path) -> None:
    path = jsonl(
        tmp_path,
        row(caption="a\nb", created_at="2017-03-29T02:30:13.147Z"),
        {"post_id": int(OLD_ID), "city": "london", "image": "pictures/a.jpg", "caption": None, "created_at": None},
    )
    first, second = posts(open_dataset(path))
    assert (first.post_id, first.city, first.caption, first.created_at) == (OLD_ID, "rome", "a\nb", MADE)
    assert (second.post_id, second.city, second.caption, second.created_at) == (OLD_ID, "london", None, None)


@pytest.mark.parametrize("id_type", [pyarrow.int64(), pyarrow.string(), pyarrow.large_string()])
@pytest.mark.parametrize("time_type", [pyarrow.timestamp("ns"), pyarrow.timestamp("ms", "UTC"), pyarrow.string()])
def test_parquet_is_read(tmp_path: Path, id_type: Any, time_type: Any) -> None:
    as_text = pyarrow.types.is_string(time_type)
    made = "2017-03-29T02:30:13.147" if as_text else MADE.replace(tzinfo=None if time_type.tz is None else UTC)
    path = write_parquet(
        tmp_path,
        post_id=pyarrow.array([OLD_ID, "7"]).cast(id_type),
        city=["rome", "rome"],
        caption=["ciao", None],
        image_path=["b.png", "pictures/a.jpg"],
        created_at=pyarrow.array([made, None], time_type),
    )
    first, second = posts(open_dataset(path))
    assert (first.post_id, first.caption, first.created_at) == (OLD_ID, "ciao", MADE)
    assert (second.post_id, second.caption, second.created_at) == ("7", None, None)


def test_nanoseconds_are_cut_off(tmp_path: Path) -> None:
    nanoseconds = int(MADE.timestamp() * 1000) * 1_000_000 + 123
    made = pyarrow.array([nanoseconds], pyarrow.timestamp("ns"))
    path = write_parquet(tmp_path, post_id=["1"], city=["rome"], image_path=["b.png"], created_at=made)
    assert posts(open_dataset(path))[0].created_at == MADE


def test_ids_tell_the_time_only_when_asked_and_a_given_time_wins(tmp_path: Path) -> None:
    path = jsonl(tmp_path, row(), row(city="oslo", created_at="2020-01-01"))
    assert [post.created_at for post in posts(open_dataset(path))] == [None, datetime(2020, 1, 1, tzinfo=UTC)]
    assert [post.created_at for post in posts(open_dataset(path, ids="instagram"))] == [
        MADE,
        datetime(2020, 1, 1, tzinfo=UTC),
    ]


def test_a_given_city_stands_in_for_the_column(tmp_path: Path) -> None:
    path = put(tmp_path / "posts.csv", "post_id,image\n1,b.png\n")
    assert posts(open_dataset(path, city="rome"))[0].city == "rome"
    with pytest.raises(CommandError, match="no column city; a manifest has post_id, city, image_path"):
        open_dataset(path)


@pytest.mark.parametrize(
    ("header", "missing"),
    [("post_id,city", "image_path"), ("city,image", "post_id"), ("a", "post_id, city, image_path"), ("", "post_id")],
)
def test_missing_columns_are_named(tmp_path: Path, header: str, missing: str) -> None:
    with pytest.raises(CommandError, match=f"no column {missing}"):
        open_dataset(put(tmp_path / "posts.csv", header))


@pytest.mark.parametrize(
    "image",
    ["../outside.jpg", "pictures/../../outside.jpg", "link.jpg", "linked/outside.jpg", "ABSOLUTE", "/etc/passwd"],
)
def test_a_picture_outside_the_manifests_folder_is_refused(tmp_path: Path, image: str) -> None:
    outside = put(tmp_path / "outside.jpg")
    folder = tmp_path / "dataset"
    put(folder / "pictures" / "a.jpg")
    (folder / "link.jpg").symlink_to(outside)
    (folder / "linked").symlink_to(tmp_path)
    path = jsonl(folder, row(image_path=str(outside) if image == "ABSOLUTE" else image))
    (reason,) = reasons(path)
    assert reason.startswith("posts.jsonl line 1: ")
    assert "outside the manifest's folder" in reason or "is absolute" in reason


def test_a_link_that_stays_inside_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link.jpg").symlink_to(tmp_path / "b.png")
    path = jsonl(tmp_path, row(image_path="link.jpg"), row(post_id="2", image_path="pictures/../b.png"))
    assert [post.picture for post in posts(open_dataset(path))] == [JPEG + b"b"] * 2


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (row(post_id=None), "post_id is missing or no text: None"),
        (row(post_id=" "), "post_id is missing or no text: ' '"),
        (row(post_id=True), "post_id is missing or no text: True"),
        (row(post_id="\ud800"), "the post_id is not UTF-8: '\\ud800'"),
        (row(city=None), "city is blank"),
        (row(city="x" * 101), "city has more than 100 characters: 101"),
        (row(city="a\nb"), "city has control characters"),
        (row(city="\ud800"), "city is not valid Unicode text"),
        (row(city=5), "city is no text: 5"),
        (row(caption=["x"]), "caption is no text: ['x']"),
        (row(image_path=None), "image_path is missing"),
        (row(image_path={"bytes": "eA=="}), "image_path has its bytes as text; a table that holds pictures is Parquet"),
        (row(image_path="no.jpg"), "there is no picture: "),
        (row(image_path="pictures"), " is not a file"),
        (row(image_path="a\0b"), "null"),
        (row(created_at="soon"), "created_at is no time that is understood; write it as 2017-06-06T20:54:00Z: 'soon'"),
        (row(created_at=5), "write it as 2017-06-06T20:54:00Z: '5'"),
        ([1], "not a JSON object"),
    ],
)
def test_a_row_that_is_no_post_is_named_and_the_next_one_is_read(tmp_path: Path, broken: Any, reason: str) -> None:
    path = jsonl(tmp_path, broken, row(post_id="2"))
    (found,) = reasons(path)
    assert found.startswith("posts.jsonl line 1: ")
    assert reason in found
    assert "\n" not in found
    found.encode()
    assert [entry.post_id for entry in open_dataset(path).entries() if isinstance(entry, Entry)][-1] == "2"


def test_lines_that_are_no_json_are_named(tmp_path: Path) -> None:
    deep = "[" * 100_000
    path = put(tmp_path / "posts.jsonl", f"{{\n\n{json.dumps(row())}\n{deep}\n")
    first, last = reasons(path)
    assert first.startswith("posts.jsonl line 1: not JSON")
    assert last.startswith("posts.jsonl line 4: not JSON")


def test_csv_rows_of_another_length_are_named_with_their_line(tmp_path: Path) -> None:
    path = put(
        tmp_path / "posts.csv",
        'post_id,city,image,caption\n1,rome,b.png\n2,rome,b.png,"a\nb"\n3,rome,b.png,x,y\n4,rome,b.png,x\n',
    )
    assert reasons(path) == [
        "posts.csv line 2: the row has 3 fields, the header 4",
        "posts.csv line 5: the row has 5 fields, the header 4",
    ]
    assert [entry.post_id for entry in open_dataset(path).entries() if isinstance(entry, Entry)] == ["2", "4"]


def test_a_long_csv_field_is_fine_and_an_unclosed_quote_is_not_read_for_ever(tmp_path: Path) -> None:
    path = put(tmp_path / "long.csv", f"post_id,city,image,caption\n1,rome,b.png,{'x' * 1_000_000}\n")
    assert len(posts(open_dataset(path))[0].caption or "") == 1_000_000
    path = put(tmp_path / "open.csv", 'post_id,city,image,caption\n1,rome,b.png,"' + "x\n" * 9_000_000)
    assert "field larger than field limit" in next(
        entry.reason for entry in open_dataset(path).entries() if isinstance(entry, Refused)
    )


@pytest.mark.parametrize("post_id", ["1.4808794859132e+18", "1.4808794859132E18", "1480879485913200243.0"])
def test_an_id_that_was_a_float_ends_the_reading(tmp_path: Path, post_id: str) -> None:
    path = put(tmp_path / "posts.csv", f"post_id,city,image\n{post_id},rome,b.png\n")
    with pytest.raises(CommandError, match=r"posts.csv line 2: post_id .* was written as a float"):
        list(open_dataset(path).entries())
    with pytest.raises(CommandError, match="was written as a float"):
        list(open_dataset(jsonl(tmp_path, row(post_id=float(post_id)))).entries())


@pytest.mark.parametrize("id_type", [pyarrow.float64(), pyarrow.float32(), pyarrow.decimal128(20, 1)])
def test_a_float_column_of_ids_is_refused(tmp_path: Path, id_type: Any) -> None:
    path = write_parquet(tmp_path, post_id=pyarrow.array([1]).cast(id_type), city=["rome"], image=["b.png"])
    with pytest.raises(CommandError, match="its digits are lost; write it as text or int64"):
        open_dataset(path)


def test_a_file_that_is_no_parquet_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="posts.parquet: cannot be read: ") as refused:
        open_dataset(put(tmp_path / "posts.parquet", "no parquet"))
    assert "\n" not in str(refused.value)


def test_the_cities_of_a_manifest_are_found_and_chosen(tmp_path: Path) -> None:
    path = jsonl(tmp_path, row(city="rome"), row(city="london", post_id="2"), [])
    dataset = open_dataset(path)
    assert dataset.cities() == ["london", "rome"]
    assert [entry.post_id for entry in dataset.entries({"london"})] == ["2", None]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_big_manifest_is_read_as_it_is_used(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / f"posts.{kind}"
    number = 20_000
    if kind == "csv":
        put(path, "post_id,city,image\n" + "".join(f"{n},rome,b.png\n" for n in range(number)))
    elif kind == "jsonl":
        jsonl(tmp_path, *(row(post_id=n) for n in range(number)))
    else:
        write_parquet(tmp_path, post_id=range(number), city=["rome"] * number, image=["b.png"] * number)
    made = create_autospec(Entry.__init__, side_effect=Entry.__init__, return_value=None)
    monkeypatch.setattr(Entry, "__init__", made)
    entries = open_dataset(path).entries()
    assert [entry.post_id for entry in itertools.islice(entries, 10)] == [str(n) for n in range(10)]
    assert made.call_count == 10


ROWS = [
    "post_id;City;image_path;caption;created_at",
    f'"=""{OLD_ID}""";"São Paulo";pictures\\a.jpg;"olá; tudo “bem”";06.06.2017 20:54',
    ";;;;",
    f'="{OLD_ID[:-1]}4";" Sa\u0303o  Paulo ";b.png;;',
]


def encoded(text: str, encoding: str) -> bytes:
    """Windows-1252 has no letters apart from their accents."""
    return (unicodedata.normalize("NFC", text) if encoding == "windows-1252" else text).encode(encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "windows-1252"])
@pytest.mark.parametrize("delimiter", [";", "\t", "|", ","])
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_a_table_is_read_as_a_spreadsheet_saved_it(tmp_path: Path, encoding: str, delimiter: str, end: str) -> None:
    text = end.join(row.replace(";", delimiter).replace(f"olá{delimiter}", "olá;") for row in ROWS) + end
    path = put(tmp_path / "posts.csv", encoded(text, encoding))
    first, second = posts(open_dataset(path))
    assert (first.post_id, first.city, first.caption) == (OLD_ID, "São Paulo", "olá; tudo “bem”")
    assert (first.created_at, first.picture) == (datetime(2017, 6, 6, 20, 54, tzinfo=UTC), JPEG)
    assert (second.post_id, second.city, second.caption) == (f"{OLD_ID[:-1]}4", "São Paulo", None)


def test_a_line_for_excel_and_an_apostrophe_before_an_id_are_passed_over(tmp_path: Path) -> None:
    path = put(tmp_path / "posts.tsv", f"sep=;\r\n\r\npost_id;city;image\r\n'{OLD_ID};rome;b.png\r\n1;;b.png\r\n")
    first, second = open_dataset(path).entries()
    assert first.post_id == OLD_ID
    assert isinstance(second, Refused)
    assert second.reason == "posts.tsv line 5: city is blank"


def test_each_line_has_its_encoding_and_guesses_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = "post_id,city,image\n1,köln,b.png\n".encode()
    path = put(
        tmp_path / "posts.csv", rows + "2,köln,b.png\n3,łódź,b.png\n".encode() + b"4,k\xf6ln,b.png\n5,k\xf6ln,b.png\n"
    )
    dataset = open_dataset(path)
    assert [post.city for post in posts(dataset)] == ["köln", "köln", "łódź", "köln", "köln"]
    guess = "a line that is no UTF-8, read as Windows-1252; if letters are wrong, save it as UTF-8"
    assert caplog.messages == [f"posts.csv line 5: {guess}", f"2 in all: {guess}"]
    assert dataset.cities() == ["köln", "łódź"]
    assert len(caplog.messages) == 2, "nothing is said or counted again"
    path = put(tmp_path / "posts.jsonl", json.dumps(row(city="köln"), ensure_ascii=False).encode("latin-1"))
    assert posts(open_dataset(path))[0].city == "köln"


@pytest.mark.parametrize(("column", "value"), [("city", "S\ufffdo Paulo"), ("post_id", "\ufffd1")])
def test_letters_that_were_lost_before_are_refused(tmp_path: Path, column: str, value: str) -> None:
    (reason,) = reasons(jsonl(tmp_path, row(**{column: value})))
    assert reason.startswith(f"posts.jsonl line 1: {column} has lost letters in another program; save the table as UTF")


def test_two_spellings_of_a_city_in_a_table_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dataset = open_dataset(jsonl(tmp_path, *(row(city=city, post_id=city * 2) for city in ("Rome", "rome", " rome "))))
    assert [post.city for post in posts(dataset)] == ["Rome", "rome", "rome"]
    assert dataset.cities() == ["Rome", "rome"]
    assert caplog.messages == [
        f"{tmp_path / 'posts.jsonl'}: different spellings count as different cities: 'Rome' and 'rome'"
    ]


def test_ids_that_a_spreadsheet_has_cut_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = f"{OLD_ID},rome,b.png\n" + "".join(f"14808794859132{n}0000,rome,b.png\n" for n in range(3))
    assert len(posts(open_dataset(put(tmp_path / "posts.csv", "post_id,city,image\n" + rows)))) == 4
    assert caplog.messages == [
        "posts.csv: long ids with nothing but zeros from their 16th digit on: did a spreadsheet cut them? "
        "Keep ids as text"
    ]


def test_zeros_by_chance_are_not_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = "".join(f"{1480879485913200000 + number},rome,b.png\n" for number in range(20_001))
    path = put(tmp_path / "posts.csv", "post_id,city,image\n1000,rome,b.png\n2000,rome,b.png\n" + rows)
    assert sum(1 for _ in open_dataset(path).entries()) == 20_003
    assert not caplog.messages


@pytest.mark.parametrize("post_id", ["1,48088E+18", "1480879485913200243,00"])
def test_an_id_that_was_a_float_with_a_comma_ends_the_reading(tmp_path: Path, post_id: str) -> None:
    path = put(tmp_path / "posts.csv", f"post_id;city;image\n{post_id};rome;b.png\n")
    with pytest.raises(CommandError, match="was written as a float"):
        list(open_dataset(path).entries())


@pytest.mark.parametrize("image", ["C:\\data\\b.png", "\\\\server\\b.png", "/b.png", "c:b.png"])
def test_an_absolute_path_of_windows_is_one(tmp_path: Path, image: str) -> None:
    (reason,) = reasons(jsonl(tmp_path, row(image_path=image)))
    assert "image_path is absolute; it must be relative to the manifest's folder: " in reason


def test_a_picture_whose_name_macos_wrote_is_found(tmp_path: Path) -> None:
    put(tmp_path / "ola\u0301.jpg", b"apart")
    put(tmp_path / "café.jpg", b"in one")
    path = jsonl(tmp_path, row(image_path="olá.jpg"), row(post_id="2", image_path="cafe\u0301.jpg"))
    assert [post.picture for post in posts(open_dataset(path))] == [b"apart", b"in one"]


BYTES, FILE = pyarrow.binary(), pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])


@pytest.mark.parametrize(
    ("kind", "value", "picture"),
    [
        (BYTES, JPEG, JPEG),
        (pyarrow.large_binary(), JPEG, JPEG),
        (BYTES, b"RIFF\0\0\0\0WEBP", b"RIFF\0\0\0\0WEBP"),
        (BYTES, b"pictures/a.jpg", JPEG),
        (FILE, {"bytes": JPEG, "path": "gone.jpg"}, JPEG),
        (FILE, {"bytes": None, "path": "pictures/a.jpg"}, JPEG),
    ],
)
def test_a_picture_may_lie_in_the_table(tmp_path: Path, kind: Any, value: Any, picture: bytes) -> None:
    path = write_parquet(tmp_path, post_id=["1"], city=["rome"], image=pyarrow.array([value], kind))
    (post,) = posts(open_dataset(path))
    assert post.picture == picture


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        (BYTES, b"\xff" * (ENOUGH + 1), "the picture is larger than a record may be"),
        (BYTES, None, "image_path is missing"),
        (FILE, {"bytes": None, "path": None}, "image_path is missing"),
        (pyarrow.list_(pyarrow.int64()), [1], "image is neither a path nor a picture: [1]"),
    ],
)
def test_what_is_no_picture_in_a_table_is_named(tmp_path: Path, kind: Any, value: Any, reason: str) -> None:
    (found,) = reasons(write_parquet(tmp_path, post_id=["1"], city=["rome"], image=pyarrow.array([value], kind)))
    assert found.startswith(f"posts.parquet row 1: {reason}")


@pytest.mark.parametrize("unit", ["ms", "us"])
def test_a_far_off_time_in_parquet_is_one_row_s_fault(tmp_path: Path, unit: str) -> None:
    moments = pyarrow.array([2**62, 1], pyarrow.timestamp(unit))
    path = write_parquet(tmp_path, post_id=["1", "2"], city=["rome"] * 2, image=["b.png"] * 2, created_at=moments)
    (reason,) = reasons(path)
    assert reason.startswith("posts.parquet row 1: created_at is no time that is understood; write it as 2017-")
    days = pyarrow.array([2**30, 17_323], pyarrow.date32())
    path = write_parquet(tmp_path, post_id=["1", "2"], city=["rome"] * 2, image=["b.png"] * 2, created_at=days)
    first, second = open_dataset(path).entries()
    assert isinstance(first, Refused)
    assert isinstance(second, Entry)
    assert second.created_at == datetime(2017, 6, 6, tzinfo=UTC)


def test_text_in_columns_of_bytes_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    city, caption = pyarrow.array([b"k\xf6ln", "köln".encode()]), pyarrow.array([b"", "olá".encode()])
    path = write_parquet(
        tmp_path, post_id=pyarrow.array([b"1", b"2"]), city=city, image=[b"b.png"] * 2, caption=caption
    )
    assert [(p.post_id, p.city, p.caption) for p in posts(open_dataset(path))] == [
        ("1", "köln", None),
        ("2", "köln", "olá"),
    ]
    assert caplog.messages[0].startswith("posts.parquet row 1: a city that is no UTF-8, read as Windows-1252")
    path = write_parquet(tmp_path, post_id=pyarrow.array([b"\xf6"]), city=["x"], image=["b.png"])
    assert "post_id has lost letters" in reasons(path)[0]


def test_milliseconds_in_a_column_of_numbers_are_a_time(tmp_path: Path) -> None:
    made = int(MADE.timestamp() * 1000)
    path = write_parquet(tmp_path, post_id=["1"], city=["rome"], image=["b.png"], created_at=[made])
    assert posts(open_dataset(path))[0].created_at == MADE


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"posts.csv: column city is there twice; keep one of them"):
        open_dataset(put(tmp_path / "posts.csv", "post_id,city,City ,image,more,more\n"))
    twice = pyarrow.table([["1"], ["a"], ["b"], ["b.png"]], names=["post_id", "city", "city", "image"])
    parquet.write_table(twice, tmp_path / "posts.parquet")
    with pytest.raises(CommandError, match=r"posts.parquet: column city is there twice; keep one of them"):
        open_dataset(tmp_path / "posts.parquet")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (row(created_at="03.04.2017"), row(created_at="05.06.2017")),
        (row(created_at="soon"), row(created_at="later")),
        (row(image_path="no.jpg"), row(post_id="2", image_path="none.jpg")),
        (row(city=5), row(city=6)),
        (row(post_id=None), row(post_id=" ")),
    ],
)
def test_what_is_wrong_in_the_same_way_is_of_one_kind(tmp_path: Path, one: Any, other: Any) -> None:
    kinds = []
    for entry in open_dataset(jsonl(tmp_path, one, other)).entries():
        if isinstance(entry, Entry):
            with pytest.raises(Refused) as refused:
                entry.read(ENOUGH)
            entry = refused.value
        kinds.append(entry.kind)
    assert len(set(kinds)) == 1
    assert len(kinds) == 2


def test_a_row_that_comes_again_is_sent_once_and_said_with_its_number(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = jsonl(tmp_path, row(), row(post_id="2"), row(), row(caption=" ciao"[1:]), row(post_id="2"))
    dataset = open_dataset(path)
    for _ in range(2):  # gone through again, nothing has come before
        assert [entry.post_id for entry in dataset.entries()] == [OLD_ID, "2"]
    kind = "left out: a post that an earlier row has, all the same"
    assert caplog.messages == [f"posts.jsonl line 3: {kind}: {OLD_ID!r}", f"3 in all: {kind}"]


@pytest.mark.parametrize(
    "changes", [{"image_path": "pictures/a.jpg"}, {"caption": "hello"}, {"created_at": "2017-03-04"}]
)
def test_another_post_of_an_id_that_an_earlier_row_has_is_refused(tmp_path: Path, changes: dict[str, str]) -> None:
    assert reasons(jsonl(tmp_path, row(), row(**changes))) == [
        "posts.jsonl line 2: an earlier row has this post_id and city with another picture, caption or time; "
        f"give each post an id of its own: {OLD_ID!r}"
    ]


def test_pictures_in_a_table_tell_posts_of_one_id_apart(tmp_path: Path) -> None:
    path = write_parquet(tmp_path, post_id=["1"] * 3, city=["rome"] * 3, image=[JPEG, JPEG, JPEG + b"b"])
    first, other = open_dataset(path).entries()
    assert isinstance(first, Entry)
    assert isinstance(other, Refused)


def test_an_id_in_two_cities_is_a_post_of_each_as_in_folders(tmp_path: Path) -> None:
    found = open_dataset(jsonl(tmp_path, row(), row(city="oslo"), row(city="oslo"))).entries()
    assert [entry.city for entry in found if isinstance(entry, Entry)] == ["rome", "oslo"]
