"""An export of vectors as an index to search, and a dataset with the pictures of its posts."""

from pathlib import Path

from consumer.board.index import Index, Kept
from consumer.classify.label import Vectors
from consumer.record import SourceRecord
from consumer.vector_table import batches, each_vector, encoders_of, exported_files
from producer.base.errors import CommandError
from producer.dataset.entry import Entry
from producer.dataset.open import open_dataset

NAMES = ("post_id", "city", "encoder")
SOURCE = ("source_topic", "source_partition", "source_offset")
PARTS = ("image", "text", "descriptor")


def read_export(folder: Path, identity: str, dimensions: int) -> Index:
    """The posts of an export, all in memory.

    Args:
        folder: of `export --vectors-topic`.
        identity: of the encoder whose vectors are searched.
        dimensions: numbers of its vectors.

    Raises:
        CommandError: the folder is no such export, a file is broken, or no vector is this encoder's.
    """
    files = exported_files(folder)
    if files is None:
        raise CommandError(f"{folder} is no export: `python -m consumer export --vectors-topic TOPIC` writes one")
    own, _ = encoders_of(folder, files, identity)
    index = Index(identity, dimensions, sum(own.values()))
    for batch in batches(files, [*NAMES, *SOURCE, *PARTS]):
        names, sources = ([batch[name].to_pylist() for name in columns] for columns in (NAMES, SOURCE))
        vectors = map(Vectors, *(each_vector(batch[part]) for part in PARTS))
        for (post_id, city, encoder), (topic, partition, offset), of_post in zip(
            zip(*names, strict=True), zip(*sources, strict=True), vectors, strict=True
        ):
            source = SourceRecord.model_construct(topic=topic, partition=partition, offset=offset)
            index.add(Kept(post_id, city, source), encoder, of_post)
    return index


def files_of(dataset: Path, index: Index) -> dict[str, Entry]:
    """The indexed posts that a dataset has, by their id; no file is read.

    Args:
        dataset: as `producer.dataset.open.open_dataset` takes it.
        index: of the export.

    Raises:
        CommandError: there is no dataset.
    """
    ids = index.ids()
    # a table without cities needs one to be opened; which it is does not matter here
    entries = open_dataset(dataset, city="unknown" if dataset.is_file() else None).entries()
    return {entry.post_id: entry for entry in entries if isinstance(entry, Entry) and entry.post_id in ids}
