import pytest

from consumer.label.offset_metadata import Note


@pytest.mark.parametrize(
    "note",
    [
        Note(),
        Note(topic_id="abc"),
        Note(by="g-host-1a2b", topic_id="abc"),
        Note("g;by=x=y;", tries=2, is_trying=True, topic_id="abc"),
    ],
)
def test_a_note_is_read_as_it_was_written(note: Note) -> None:
    assert Note.of(note.to_metadata()) == note


def test_progress_is_written_as_earlier_versions_wrote_and_read_it() -> None:
    assert Note(topic_id="abc").to_metadata() == "topic_id=abc"


@pytest.mark.parametrize("metadata", [None, "", "of others", "a=b;c", "tries=x", "tries=²", f"tries={'9' * 5_000}"])
def test_what_others_wrote_says_nothing(metadata: str | None) -> None:
    assert Note.of(metadata) == Note()
