from datetime import UTC, date, datetime
from typing import Any

import pytest

from producer.base.errors import Wrong
from producer.dataset.moment import moment

JUNE = datetime(2017, 6, 6, 20, 54, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "2017-06-06T20:54:00Z",
        "2017-06-06 20:54",
        "2017-06-06 20:54:00 UTC",
        "2017-06-06 20:54:00.000 +0000",
        "2017/06/06 20:54",
        "2017/6/6 20:54:00",
        "06.06.2017 20:54",
        "6.6.2017, 20:54:00",
        "06-06-2017 20:54",
        "6/6/2017 8:54 PM",
        "6/6/2017 8:54:00 p.m.",
        "06.06.2017 22:54 +02:00",
        "1496782440",
        "1496782440000",
        "1496782440000.0",
        "1496782440000000",
        "1496782440000000000",
        1496782440,
        1496782440000,
        1496782440000.0,
        1496782440.0000001,
        "1496782440,000",
        datetime(2017, 6, 6, 20, 54),
        JUNE,
    ],
)
def test_a_time_is_read_as_programs_write_it(value: Any) -> None:
    assert moment(value) == JUNE


@pytest.mark.parametrize(
    ("value", "day"),
    [
        ("13.06.2017", 13),
        ("06/13/2017", 13),
        ("2017-06-13", 13),
        ("20170613", 13),
        (date(2017, 6, 13), 13),
        ("06.06.2017 12:05 AM", 6),
    ],
)
def test_a_day_alone_begins_at_midnight(value: Any, day: int) -> None:
    read = moment(value)
    assert read is not None
    assert (read.year, read.month, read.day, read.hour) == (2017, 6, day, 0)


def test_milliseconds_that_look_like_a_day_of_1701_are_milliseconds() -> None:
    assert moment("1701010112345") == datetime(2023, 11, 26, 14, 48, 32, 345000, UTC)
    assert moment(1701010112345) == moment("1701010112345")


@pytest.mark.parametrize("value", [1496782440.5, "1496782440.5", "1496782440500.00", 1496782440500.25])
def test_a_fraction_is_part_of_the_time(value: Any) -> None:
    read = moment(value)
    assert read is not None
    assert read.replace(microsecond=500_000) == JUNE.replace(microsecond=500_000)
    assert read.microsecond // 1000 == 500


@pytest.mark.parametrize("value", [None, "", " ", float("nan")])
def test_a_blank_cell_is_no_time(value: Any) -> None:
    assert moment(value) is None


@pytest.mark.parametrize("value", ["03.04.2017", "3/4/2017 20:54", "12-11-2017"])
def test_a_day_that_may_be_a_month_is_refused_with_the_form_to_write(value: str) -> None:
    with pytest.raises(Wrong, match="its day or its month first; write it as 2017-06-06T20:54:00Z") as refused:
        moment(value)
    assert "03" not in refused.value.kind


@pytest.mark.parametrize(
    "value",
    ["soon", "42892.87", "5", 5, 123.5, True, "32.13.2017", "31.02.2017", "13:00", "6/6/17", "6/6/2017 20:54 PM"]
    + ["1.49678E+12", "149678244", "14967824400", "\x1b[31m", "06.13/2017", "2017.06-06", "0001-01-01T00:00:00+01:00"],
)
def test_what_is_no_time_is_refused_in_words_that_its_kind_shares(value: Any) -> None:
    with pytest.raises(Wrong) as refused:
        moment(value)
    assert refused.value.kind == "created_at is no time that is understood; write it as 2017-06-06T20:54:00Z"
    assert str(refused.value).isprintable()
