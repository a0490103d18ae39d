"""Labels made of vectors: the same as the model's where the settings are the same, and each once whatever happens."""

from consumer.labeled_post import LabeledPost
from deploy.local.stack import Stack
from tests.conftest import RunCli
from tests.integration.consumer.relabel.conftest import Again
from tests.wire import read_all


def test_the_same_settings_give_the_same_labels(stack: Stack, again: Again, run_cli: RunCli) -> None:
    again.run(run_cli)

    first = {record.key.decode(): LabeledPost.from_record(record) for record in read_all(stack, again.topics.output)}
    second = again.labels(stack)
    assert second.keys() == first.keys()
    for post_id, label in second.items():
        before = first[post_id]
        assert abs(label.confidence - before.confidence) < 2e-3
        same = {"confidence", "top", "image", "text", "labeled_at"}
        assert label.model_dump(exclude=same) == before.model_dump(exclude=same)
