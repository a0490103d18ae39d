from pathlib import Path

import pytest

from tests import corpus
from tests.unit.consumer.classify.photos import encoded, photo


@pytest.mark.usefixtures("as_before")
def test_a_folder_of_pictures_becomes_a_table_of_what_became_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = encoded(photo(320, 480), "JPEG")
    tiff = bytearray(encoded(photo(), "TIFF", compression="tiff_lzw"))
    tiff[100:200] = bytes(range(100, 200))
    broken = bytes(tiff)
    files = {"whole.jpg": data, "cut.jpg": data[:-150], "half.jpg": data[:3000], "1.tif": broken, "none.txt": b"no"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert corpus.main([str(tmp_path)]) == 0
    rows = [[cell.strip() for cell in line.split("│")[1:3]] for line in capsys.readouterr().out.splitlines()]
    assert [row for row in rows if row and row[1].isdigit()] == [
        ["decoded", "2"],
        ["other exception", "0"],
        ["truncated_image", "2"],
        ["not_an_image", "1"],
        ["cut to their rows", "1"],
        ["lines on stderr", "0"],
    ]
