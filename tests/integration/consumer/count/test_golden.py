from tests.integration.consumer.count.conftest import Counting, records
from tests.labels import golden, labeled
from tests.wire import read_all, write


def test_golden_posts_become_the_golden_keys_once(counting: Counting) -> None:
    expected, topic = golden("redis_keys"), counting.topics.output
    posts = [labeled(**changes) for changes in expected["changes"]]
    write(counting.stack, topic, records(posts))

    first = counting.run("count", "--stop-at-end")
    assert first.returncode == 0, first.stderr
    assert first.stderr.splitlines()[-1].endswith(f"ended counted={len(posts)}")
    keys = counting.all_keys()
    topic_id = keys.pop("topic")
    assert len(topic_id) > 20
    renamed = {f"labeled-posts:{field.rpartition(':')[2]}": offset for field, offset in keys["offsets"].items()}
    assert set(keys["offsets"]) == {f"{topic}:0", f"{topic}:1"}
    known = {field.replace(topic_id, "<topic id>"): offset for field, offset in keys["known"].items()}
    del expected["keys"]["topic"]
    assert keys | {"offsets": renamed, "known": known} == expected["keys"]

    second = counting.run("count", "--stop-at-end")
    assert second.returncode == 0, second.stderr
    assert second.stderr.splitlines()[-1].endswith("ended counted=0")
    assert counting.all_keys() == keys | {"topic": topic_id}
    counting.assert_equal_to_a_recount(len(posts))


def test_the_golden_record_survives_the_broker(counting: Counting) -> None:
    write(counting.stack, counting.topics.output, records([labeled()]))
    (record,) = read_all(counting.stack, counting.topics.output)
    expected = golden("labeled_post")
    assert record.key.decode() == expected["key"]
    assert [[name, value.decode()] for name, value in record.headers] == expected["headers"][
        :-2
    ]  # no topic id was given, and no trace
    assert labeled() == type(labeled()).model_validate_json(record.value)
