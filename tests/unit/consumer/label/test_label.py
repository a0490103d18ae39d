from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from consumer.classify.pictures.decode import PictureLimits
from consumer.classify.pictures.pool import Decoders
from consumer.label import label as module
from producer.base.errors import CommandError
from tests.unit.consumer.classify.photos import encoded, photo


def test_pictures_that_are_cut_to_their_rows_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_model(*_: Any, **__: Any) -> None:
        raise CommandError("no model")

    registry, pool = CollectorRegistry(), Decoders(PictureLimits())
    for name in ("begin", "serve", "check_replica"):
        monkeypatch.setattr(module, name, lambda *_: None)
    monkeypatch.setattr(module, "check_topics", lambda _: SimpleNamespace(partitions=1))
    monkeypatch.setattr(module, "decoders", lambda _: pool)
    monkeypatch.setattr(module, "build_classifier", no_model)
    monkeypatch.setattr(module, "REGISTRY", registry)
    with pytest.raises(CommandError, match="no model"):
        module.main([])
    for missing in (1, 150):
        pool.one(encoded(photo(320, 480), "JPEG")[:-missing])
    pool.close()
    assert registry.get_sample_value("placestream_cut_pictures_total") == 1
