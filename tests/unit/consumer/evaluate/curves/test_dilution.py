import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from consumer.evaluate.curves.dilution import DILUTION, dilution, of_part
from consumer.evaluate.scores.decide import ENSEMBLES, Ensemble, decide, distributions
from consumer.evaluate.scores.folder import Scores
from tests.unit.consumer.evaluate.simulated import CATEGORIES, SCALE, SYNONYMS, simulate


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> Scores:
    return Scores.open(simulate(tmp_path_factory.mktemp("c"), "c", 300).scores)


def test_clusters_by_hand(scores: Scores) -> None:
    table = dilution(scores.parts(), scores.info, ENSEMBLES[:1], 0.5)
    assert tuple(table.columns) == DILUTION
    groups = [*SYNONYMS, *((place,) for place in CATEGORIES if not any(place in each for each in SYNONYMS))]
    seen: dict[tuple[str, ...], list[tuple[float, float, bool]]] = {group: [] for group in groups}
    for part in scores.parts():
        for cosines in part.image.tolist():
            powers = {place: math.exp(SCALE * cosine) for place, cosine in zip(CATEGORIES, cosines, strict=True)}
            share = {place: power / sum(powers.values()) for place, power in powers.items()}
            likeliest = max(groups, key=lambda group: sum(share[place] for place in group))  # noqa: B023
            best = max(share[place] for place in likeliest)
            seen[likeliest].append((best, sum(share[place] for place in likeliest), max(share.values()) < 0.5))
    for row in table.to_dict("records"):
        cluster = tuple(row["cluster"].split("|"))
        posts = seen[cluster] if row["cluster"] else [each for of in seen.values() for each in of]
        missed = [each for each in posts if each[2]]
        assert row["posts"] == len(posts)
        assert row["label_probability"] == pytest.approx(sum(each[0] for each in posts) / len(posts), rel=1e-5)
        assert row["cluster_probability"] == pytest.approx(sum(each[1] for each in posts) / len(posts), rel=1e-5)
        assert row["not_classified"] == len(missed)
        assert row["would_classify"] == sum(each[1] >= 0.5 for each in missed) > 0


def test_every_ensemble_is_looked_at_by_its_own_distribution(scores: Scores) -> None:
    for part in scores.parts():
        for ensemble in (*ENSEMBLES, Ensemble("ensemble", text_threshold=0.4)):
            decided = decide(ensemble, part, scores.info)
            deciding, by_image = distributions(ensemble, part, scores.info)
            known = decided.label >= 0
            assert np.isnan(deciding[~known]).all()
            assert deciding[known].sum(axis=1) == pytest.approx(1)
            assert deciding[known].max(axis=1) == pytest.approx(decided.confidence[known])
            assert (deciding[known].argmax(axis=1) == decided.label[known]).all()
            assert by_image.tolist() == decided.by_image.tolist()


def test_a_label_above_the_threshold_is_not_missed_even_if_a_cluster_is_likelier(scores: Scores) -> None:
    distributions = np.array([[0.3, 0.3, 0.4, 0, 0, 0, 0, 0, 0, 0], [0.3, 0.29, 0.31, 0.1, 0, 0, 0, 0, 0, 0]])
    found = of_part(distributions, scores.info, 0.35)
    assert found[:, 0].tolist() == pytest.approx([2, 0.6, 1.19, 1, 1])
    assert not found[:, 1:].any()


def test_a_label_set_without_synonyms_has_an_empty_table(scores: Scores, tmp_path: Path) -> None:
    table = dilution(scores.parts(), replace(scores.info, groups=()), ENSEMBLES, 0.5)
    assert tuple(table.columns) == DILUTION
    assert table.empty
