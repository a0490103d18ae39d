"""Which encoder and which classifier are made of which settings."""

import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from consumer.classify.classifier import Classifier, unobserved
from consumer.classify.compute import calibration, nvjpeg
from consumer.classify.compute.engine import Engine
from consumer.classify.compute.quota import cpu_quota
from consumer.classify.decision import BROADER, Decision
from consumer.classify.encoders.encoder import Encoder
from consumer.classify.head import Head
from consumer.classify.identity import EncoderSettings
from consumer.classify.pictures import profile
from consumer.classify.place_vectors import place_vectors
from consumer.classify.places import TEMPLATES, Places
from consumer.classify.settings import ClassifySettings, DecideSettings
from producer.base.errors import CommandError


def build_classifier(
    settings: ClassifySettings,
    observe: Callable[[str, float], None] = unobserved,
    top: int = 5,
) -> Classifier:
    """Load the model, and encode the places unless their vectors are on disk; takes seconds.

    Args:
        settings: as given by flags and environment.
        observe: told the seconds that each batch spends in the stages ``image`` and ``text``.
        top: places named in each ranking.

    Raises:
        CommandError: one line that says what is missing and what to do. There is no silent fall-back.
    """
    device = chosen_device(settings.device, settings.engine)
    fit_threads(device)
    places = Places.load(settings.places)
    decode_jpeg = nvjpeg.decoder(device) if settings.jpeg_decoder == "nvjpeg" else None
    try:
        encoder = _encoder(settings, device)
    except RuntimeError as error:  # what could be explained already was: this is torch, refusing the device
        raise CommandError(f"DEVICE {device}: {str(error).splitlines()[0]}") from error
    encoder.name += profile.SUFFIX + (nvjpeg.SUFFIX if decode_jpeg else "")
    decision, templates = decision_of(settings, encoder, places), _templates(settings, encoder)
    vectors = place_vectors(encoder.identity, places, templates, lambda: encoder).vectors
    return Classifier(encoder, places, decision, settings.limits(), templates, top, observe, decode_jpeg, vectors)


class HeadOf(NamedTuple):
    """A head without its encoder.

    Attributes:
        head: decides.
        identity: of the encoder whose vectors it takes.
        places_stamp: the label set's name and the hash of its prompts.
    """

    head: Head
    identity: str
    places_stamp: str


def build_head(settings: DecideSettings) -> HeadOf:
    """What decides, from the places' vectors on disk; without them the model is loaded once, on the CPU.

    Args:
        settings: as given by flags and environment.

    Raises:
        CommandError: as `build_classifier` does.
    """
    fit_threads("cpu")
    kind, identity = _kind(settings)
    places, templates = Places.load(settings.places), _templates(settings, kind)
    of_places = place_vectors(identity, places, templates, lambda: _on_cpu(settings))
    scales = of_places.image_logit_scale, of_places.text_logit_scale
    decision = decision_of(settings, kind, places)
    head = Head(places.categories, of_places.vectors, *scales, decision, groups=places.groups)
    return HeadOf(head, identity, places.stamp(templates))


class QueryEncoder(NamedTuple):
    """What makes vectors of a person's words.

    Attributes:
        identity: of the encoder, in whose space they are.
        encode: a query's vector, of unit length, ``[d]``.
    """

    identity: str
    encode: Callable[[str], NDArray[np.float32]]


def build_query_encoder(settings: EncoderSettings) -> QueryEncoder:
    """Load the model, on the CPU, for queries; takes seconds.

    Args:
        settings: as given by flags and environment.

    Raises:
        CommandError: as `build_classifier` does.
    """
    fit_threads("cpu")
    encoder = _on_cpu(settings)
    return QueryEncoder(encoder.identity, encoder.encode_query)


def _on_cpu(settings: EncoderSettings) -> Encoder:
    """The chosen encoder on the CPU; variables for what computes pictures do not count."""
    own = {name: getattr(settings, name) for name in EncoderSettings.model_fields}
    return _encoder(ClassifySettings.model_construct(**own, device="cpu"), "cpu")


def decision_of(settings: DecideSettings, encoder: Encoder | type[Encoder], places: Places) -> Decision:
    """The decision of these settings.

    Raises:
        CommandError: a group would need less than a place does.
    """
    threshold = encoder.default_threshold if settings.threshold is None else settings.threshold
    broader = max(BROADER, threshold) if settings.broader_threshold is None else settings.broader_threshold
    if broader < threshold:
        raise CommandError(f"BROADER_THRESHOLD {broader:g} is below THRESHOLD {threshold:g}: give at least that")
    return Decision(
        ensemble=settings.ensemble,
        weights=settings.weights,
        gate=settings.gate,
        threshold=threshold,
        broader_threshold=broader if places.groups else None,
    )


def _templates(settings: DecideSettings, encoder: Encoder | type[Encoder]) -> tuple[str, ...]:
    return TEMPLATES[settings.templates] if settings.templates else encoder.default_templates


def fit_threads(device: str) -> None:
    """Give torch as many threads as can compute at once; OMP_NUM_THREADS, where it is set, is the user's word."""
    if device.startswith("cuda"):
        torch.set_num_threads(1)  # the CPU's part is small then; more threads would wait for each other, spinning
    elif (quota := cpu_quota()) is not None and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, min(torch.get_num_threads(), int(quota))))


def chosen_device(wanted: str, engine: Engine) -> str:
    """The torch device that ``DEVICE`` names, ``auto`` among its values.

    Raises:
        CommandError: there is none of that kind.
    """
    if wanted == "auto":
        if engine == "openvino":
            return "cpu"
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "mps" and not torch.backends.mps.is_available():
        raise CommandError("DEVICE mps: this PyTorch sees no Apple GPU")
    if wanted.startswith("cuda"):
        there = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(wanted.partition(":")[2] or 0) >= there:
            raise CommandError(f"DEVICE {wanted}: this PyTorch sees {there or 'no'} CUDA device{'s' * (there > 1)}")
    return wanted


def _kind(settings: EncoderSettings) -> tuple[type[Encoder], str]:
    """The chosen encoder's class and its identity; nothing is loaded."""
    if settings.encoder == "conse":
        from consumer.classify.encoders.conse import NAME, Conse

        return Conse, NAME
    from consumer.classify.encoders.open_clip import OpenClip, identity_of

    return OpenClip, identity_of(settings.model, settings.pretrained)


def _encoder(settings: ClassifySettings, device: str) -> Encoder:
    """The chosen encoder; only its own packages are imported."""
    if settings.encoder == "conse":
        if (settings.calibration, settings.compile, settings.jpeg_decoder) != (None, False, "pillow"):
            raise CommandError("CALIBRATION, COMPILE and JPEG_DECODER are for ENCODER open_clip, not for conse")
        if settings.precision != "fp32":
            raise CommandError(f"PRECISION {settings.precision}: ENCODER conse computes in fp32 only")
        from consumer.classify.encoders.conse import Conse

        return Conse(device, settings.engine)
    from consumer.classify.encoders.open_clip import OpenClip

    fitted_to = calibration.load(settings.calibration, settings.limits()) if settings.calibration else None
    return OpenClip(
        settings.model, settings.pretrained, device, settings.engine, settings.precision, settings.compile, fitted_to
    )
