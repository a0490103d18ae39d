"""`relabel` as a program with the light encoder's head: `python -m tests.relight FLAGS…`."""

from typing import Any, NoReturn

import pytest

from consumer.classify.factory import HeadOf, decision_of
from consumer.classify.head import Head
from consumer.classify.places import Places
from consumer.classify.settings import DecideSettings
from consumer.label import run as running
from consumer.label.assemble import assemble
from consumer.relabel import relabel
from tests.light import PLACES, LightEncoder, end_as_program


def light_head(settings: DecideSettings) -> HeadOf:
    """The head of the light encoder, with the settings' decision and places."""
    encoder, places = LightEncoder(), Places.load(settings.places) if settings.places else PLACES
    scales = encoder.image_logit_scale, encoder.text_logit_scale
    vectors = places.vectors(encoder, encoder.default_templates)
    decision = decision_of(settings, encoder, places)
    head = Head(places.categories, vectors, *scales, decision, groups=places.groups)
    return HeadOf(head, encoder.identity, places.stamp(encoder.default_templates))


def run(**stages: Any) -> NoReturn:
    """`relabel` as a program, with some stages of a test's own: see `assemble`."""
    patch = pytest.MonkeyPatch()
    patch.setattr(relabel, "build_head", light_head)
    patch.setattr(running, "assemble", lambda *parts, **own: assemble(*parts, **(own | stages)))
    end_as_program(relabel.main)


if __name__ == "__main__":
    run()
