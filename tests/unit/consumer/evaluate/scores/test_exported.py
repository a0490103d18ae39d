from pathlib import Path

import pytest

from consumer.classify.factory import HeadOf
from consumer.classify.places import Place, Places
from consumer.evaluate.scores import score
from consumer.evaluate.scores.folder import Scores
from producer.base.errors import CommandError
from tests.exports import row, write_export
from tests.unit.consumer.evaluate.made_up import head

CATEGORIES = ("abbey", "bridge", "coast")
PLACES = Places("p", tuple(Place(each, each) for each in CATEGORIES))


@pytest.fixture(autouse=True)
def _without_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score, "build_head", lambda settings: HeadOf(head(CATEGORIES), "conse/x", "p@0"))
    monkeypatch.setattr(Places, "load", lambda path: PLACES)


def test_the_posts_of_one_encoder_are_taken_however_it_computed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = [row(0, "conse/x+icc"), row(1, "conse/xy"), row(2, "conse/x")]
    second = [row(3, "conse/x"), row(4, "conse/x", post_id="p2"), row(5, "conse/x", city="oslo")]
    exported = write_export(tmp_path / "vectors", [first, second])

    assert score.main([str(exported), "-o", str(tmp_path / "scores")], part_posts=2) == 0

    opened = Scores.open(tmp_path / "scores")
    parts = list(opened.parts())
    assert [part.post_ids for part in parts] == [["p0", "p2"], ["p3", "p5"]]
    assert [part.image.argmax(axis=1).tolist() for part in parts] == [[0, 2], [0, 2]]
    assert [part.has_text.tolist() for part in parts] == [[False, False], [True, True]]
    assert all(part.has_caption.all() for part in parts)
    assert (opened.info.encoder, opened.info.dataset) == ("conse/x, conse/x+icc", exported.resolve())
    assert "1 posts are left out, which conse/xy encoded" in caplog.text
    assert "1 entries have the id of an earlier one" in caplog.text
    again = [str(exported), "-o", str(tmp_path / "oslo"), "--cities", "oslo", "--posts", "7"]
    assert score.main(again) == 0
    assert Scores.open(tmp_path / "oslo").of(["p5"]).cities == ["oslo"]


def test_what_grew_meanwhile_is_another_dataset(tmp_path: Path) -> None:
    exported = write_export(tmp_path / "vectors", [[row(0, "conse/x")]])
    score.main([str(exported), "-o", str(tmp_path / "scores")])
    write_export(tmp_path / "more", [[row(1, "conse/x")]])
    (tmp_path / "more" / "v-0-000000000000-000000000000.parquet").rename(
        exported / "v-0-000000000001-000000000001.parquet"
    )

    with pytest.raises(CommandError, match="another dataset"):
        score.main([str(exported), "-o", str(tmp_path / "scores")])
    assert Scores.open(tmp_path / "scores").info.posts == 1


def test_an_export_without_such_vectors_is_one_clear_line(tmp_path: Path) -> None:
    others = write_export(tmp_path / "others", [[row(0, "open_clip/a"), row(1, "open_clip/a")]])
    labels = write_export(tmp_path / "labels", [], "labels")
    broken = write_export(tmp_path / "broken", [[row(0, "conse/x")]])
    for path in broken.glob("*.parquet"):
        path.write_bytes(path.read_bytes()[:-50])
    for folder, what in (
        (others, r"has no vectors of conse/x \(2 of open_clip/a\): choose the encoder by --encoder"),
        (labels, "holds labels: `python -m consumer export --vectors-topic"),
        (broken, "is broken: .*; delete it, and export again"),
    ):
        with pytest.raises(CommandError, match=what):
            score.main([str(folder), "-o", str(tmp_path / "scores")])
