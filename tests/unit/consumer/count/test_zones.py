from pathlib import Path

import pytest

from consumer.count.zones import load_zones
from producer.base.errors import CommandError


def test_the_ten_cities_of_instacities_have_zones() -> None:
    assert {city: zone.key for city, zone in load_zones().items()} == {
        "chicago": "America/Chicago",
        "london": "Europe/London",
        "losangeles": "America/Los_Angeles",
        "melbourne": "Australia/Melbourne",
        "miami": "America/New_York",
        "newyork": "America/New_York",
        "sanfrancisco": "America/Los_Angeles",
        "singapore": "Asia/Singapore",
        "sydney": "Australia/Sydney",
        "toronto": "America/Toronto",
    }


@pytest.mark.parametrize("begin", ["", "\ufeff"])  # Excel writes a byte order mark
def test_a_file_of_ones_own_replaces_them(tmp_path: Path, begin: str) -> None:
    path = tmp_path / "cities.csv"
    path.write_text(f"{begin}city,zone,note\nsão paulo,America/Sao_Paulo,x\n", "utf-8")
    assert {city: zone.key for city, zone in load_zones(path).items()} == {"são paulo": "America/Sao_Paulo"}


def test_a_city_has_the_name_that_posts_carry_and_the_one_that_older_labels_have(tmp_path: Path) -> None:
    path = tmp_path / "cities.csv"
    path.write_text("city,zone\nsa\u0303o paulo ,America/Sao_Paulo\n", "utf-8")
    assert list(load_zones(path)) == ["são paulo", "sa\u0303o paulo "]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "needs the columns city,zone; it has $"),
        ("city;land\n", "needs the columns city,zone; it has city,land$"),
        ("city,zone\nx,Europe/London\ny,Mars/Base\n", "line 3: 'Mars/Base' is no IANA time zone$"),
        ("city,zone\nx,\n", "line 2: '' is no IANA time zone$"),
        ("city,zone\nx\n", "line 2: None is no IANA time zone$"),
        ("city,zone\nx,America\n", "line 2: 'America' is no IANA time zone$"),
        ("city,zone\nx,../../etc/passwd\n", "line 2: .* is no IANA time zone$"),
        ("city,zone\n,Europe/London\n", "line 2: city is blank$"),
        ("city,zone\nx,Europe/London\n x,Asia/Tokyo\n", "line 3: x has another zone above: Europe/London$"),
        ("city,zone\n_other,Europe/London\n", "no city can have the name _other: posts of many cities count under it$"),
    ],
)
def test_a_wrong_file_is_one_line_that_says_where(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "cities.csv"
    path.write_text(text)
    with pytest.raises(CommandError, match=said) as raised:
        load_zones(path)
    assert "cities.csv" in str(raised.value)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot read the cities file .*CITIES_FILE"):
        load_zones(tmp_path / "none.csv")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "windows-1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_file_is_read_as_a_spreadsheet_saved_it(
    tmp_path: Path, encoding: str, delimiter: str, caplog: pytest.LogCaptureFixture
) -> None:
    text = "city,zone\r\nsão paulo,America/Sao_Paulo\r\n".replace(",", delimiter)
    (tmp_path / "cities.csv").write_bytes(text.encode(encoding))
    assert list(load_zones(tmp_path / "cities.csv")) == ["são paulo"]
    assert ("no UTF-8, read as Windows-1252" in caplog.text) is (encoding == "windows-1252")
