from pathlib import Path

import numpy as np
import pytest

from consumer.board.exported import files_of, read_export
from producer.base.errors import CommandError
from tests.exports import row, write_export

AXES = np.eye(3, dtype=np.float32)


def test_all_posts_of_an_export_can_be_searched_but_those_of_another_encoder(tmp_path: Path) -> None:
    first = [row(0, "conse/x+icc", post_id="first"), row(1, "conse/xy")]
    second = [row(number, "conse/x", "oslo") for number in (3, 4)]
    index = read_export(write_export(tmp_path / "vectors", [first, second]), "conse/x", 3)

    found = index.near(AXES[0], "image", 10)
    assert [(each.post.city, each.post.post_id, round(each.cosine)) for each in found] == [
        ("rome", "first", 1),
        ("oslo", "p3", 1),
        ("oslo", "p4", 0),
    ]
    assert dict(found[0].post.source) == {"topic": "posts", "partition": 0, "offset": 0}
    assert [each.post.post_id for each in index.near(AXES[2], "text", 10)] == ["p3"]
    like = index.like("oslo", "p3", 10)
    assert like is not None
    assert [each.post.post_id for each in like[1]] == ["first", "p4"]
    counted = index.counted()
    assert (counted.posts, counted.captions, counted.others, counted.other) == (3, 1, 1, "conse/xy")


def test_what_is_no_export_of_such_vectors_is_one_line(tmp_path: Path) -> None:
    others = write_export(tmp_path / "others", [[row(0, "open_clip/a")]])
    labels = write_export(tmp_path / "labels", [], "labels")
    for folder, says in (
        (tmp_path, "is no export: `python -m consumer export --vectors-topic TOPIC` writes one"),
        (tmp_path / "missing", "is no export"),
        (labels, "holds labels"),
        (others, r"has no vectors of conse/x \(1 of open_clip/a\): choose the encoder by --encoder"),
    ):
        with pytest.raises(CommandError, match=f"^{folder} {says}"):
            read_export(folder, "conse/x", 3)


def test_pictures_of_a_dataset_are_those_of_the_exports_posts_alone(tmp_path: Path) -> None:
    index = read_export(
        write_export(tmp_path / "vectors", [[row(number, "conse/x") for number in (1, 2)]]), "conse/x", 3
    )
    table = tmp_path / "posts.csv"
    table.write_text("post_id,image_path\np2,00002\np3,00003\n,\n")
    (entry,) = files_of(table, index).values()
    assert (entry.post_id, entry.picture.name) == ("p2", "00002")
    with pytest.raises(CommandError, match="no such file or folder"):
        files_of(tmp_path / "missing", index)
