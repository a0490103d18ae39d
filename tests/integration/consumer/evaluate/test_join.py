"""What `label` published and what follows from the scores of `evaluate score` agree, post by post."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from consumer.classify.places import PLACES205
from consumer.evaluate.scores.decide import Decided, Ensemble, decide, image_probabilities, text_probabilities
from consumer.evaluate.scores.folder import Scores
from consumer.evaluate.scores.parts import ScorePart
from consumer.evaluate.scores.score import main
from consumer.labeled_post import LabeledPost
from deploy.local.stack import Stack
from producer.sample import write_sample
from tests.conftest import RunCli, Topics
from tests.wire import read_all

CLOSE = 1e-3
"""How far published and computed confidences may lie apart; nearer to a boundary than that, either side is right."""

GATE = 0.5
"""Of conse on these photographs: some captions are needed, some are not."""


def some_places(path: Path) -> Path:
    """Every fifth place: most of the model's loading is to encode the places."""
    header, *lines = PLACES205.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join([header, *lines[4::5]]), "utf-8")
    return path


def test_published_labels_and_scores_agree(stack: Stack, topics: Topics, run_cli: RunCli, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    write_sample(dataset)
    chosen = (str(dataset), "--cities", "london")
    model = ("--encoder", "conse", "--places", str(some_places(tmp_path / "places.csv")))
    assert run_cli("producer", "replay", *chosen, env=topics.environment).returncode == 0
    flags = (*model, "--stop-at-end", "--metrics-port", "0", "--gate", str(GATE), "--batch-size", "7")
    labelled = run_cli("consumer", "label", *flags, env=topics.environment)
    assert labelled.returncode == 0, labelled.stderr
    published = [LabeledPost.model_validate_json(record.value) for record in read_all(stack, topics.output)]

    main([*chosen, "-o", str(tmp_path / "scores"), *model])

    scores = Scores.open(tmp_path / "scores")
    scored = [post_id for part in scores.parts() for post_id in part.post_ids]
    assert sorted(post.post_id for post in published) == sorted(scored)
    assert {(post.encoder, post.places) for post in published} == {(scores.info.encoder, scores.info.places)}
    part = scores.of([post.post_id for post in published])
    decided = decide(Ensemble("conditional", gate=GATE), part, scores.info)
    clear = _clear_of_boundaries(part, scores, decided, published[0].decision.threshold)
    assert published[0].decision.threshold == scores.info.threshold
    for row, post in enumerate(published):
        if clear[row]:
            label = scores.info.categories[decided.label[row]]
            place = None if decided.confidence[row] < scores.info.threshold else label
            assert (post.place, post.top[0][0]) == (place, label)
            assert post.decided_by == ("image" if decided.by_image[row] else "ensemble")
            assert abs(post.confidence - decided.confidence[row]) < CLOSE
        assert abs(post.image.confidence - image_probabilities(part, scores.info)[row].max()) < CLOSE
        if post.text is not None:
            assert abs(post.text.confidence - text_probabilities(part, scores.info)[row].max()) < CLOSE
        assert (post.city, post.created_at) == (part.cities[row], part.created_at[row])

    # Nothing of this was vacuous: each kind of label is among them.
    assert len(published) == 50
    assert clear.mean() > 0.9
    assert {post.decided_by for post in published} == {"image", "ensemble"}
    assert {post.place is None for post in published} == {True, False}
    assert any(post.text is None for post, there in zip(published, part.has_text, strict=True) if there)


def _clear_of_boundaries(part: ScorePart, scores: Scores, decided: Decided, threshold: float) -> NDArray[np.bool_]:
    """Whether each post's image is clear of the gate, its confidence of the threshold, its winner of the second."""
    image = image_probabilities(part, scores.info)
    both = np.where(decided.by_image[:, None], image, (image + text_probabilities(part, scores.info)) / 2)
    second, first = np.sort(both, axis=1)[:, -2:].T
    clear = (abs(image.max(axis=1) - GATE) > CLOSE) & (abs(first - threshold) > CLOSE) & (first - second > CLOSE)
    return np.asarray(clear)
