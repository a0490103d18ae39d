"""The settings of classifying, and the classifier they describe."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from consumer.classify.classifier import Classifier, unobserved
from consumer.classify.compute import calibration, nvjpeg
from consumer.classify.compute.engine import Engine, Precision
from consumer.classify.decision import GATE, WEIGHTS, Decision, EnsembleKind
from consumer.classify.encoders.encoder import Encoder
from consumer.classify.pictures.decode import PictureLimits
from consumer.classify.places import TEMPLATES, Places, Templates
from producer.base.errors import CommandError
from producer.base.settings import Settings

MAX_PIXELS = 178_956_970
"""Pillow itself refuses larger pictures."""


def _split_weights(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    parts = value.split(",")
    if len(parts) != 2:
        raise ValueError("must be two numbers, of picture and caption: 0.8,0.8")
    return tuple(parts)


def _check_weights(weights: tuple[float, float]) -> tuple[float, float]:
    if sum(weights) <= 0:
        raise ValueError("one of the two weights must be positive")
    return weights


Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


class ClassifySettings(Settings):
    """Which model, which places, and how picture and caption decide."""

    encoder: Literal["open_clip", "conse"] = Field("open_clip", description="conse needs no download from a hub")
    model: str = Field("ViT-B-32", min_length=1, description="architecture (open_clip)")
    pretrained: str = Field(
        "laion2b_s34b_b79k",
        min_length=1,
        description="weights (open_clip): a tag, the path of a checkpoint, or random (for benchmarks only)",
    )
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$", description="auto, cpu, cuda, cuda:N or mps")
    engine: Engine = Field("torch", description="what computes the model; openvino is for CPUs, an extra")
    precision: Precision = Field(
        "fp32",
        description="of the model's arithmetic (open_clip): bf16 or fp16 on cuda, bf16 or int8 with engine openvino",
    )
    calibration: Path | None = Field(None, description="dataset whose first 300 pictures int8 is fitted to")
    compile: bool = Field(False, description="let torch compile the model (open_clip): minutes at the start, for GPUs")
    jpeg_decoder: Literal["pillow", "nvjpeg"] = Field(
        "pillow", description="what decodes JPEGs; nvjpeg does it on the GPU, an extra"
    )
    ensemble: EnsembleKind = Field("conditional", description="whether picture, both, or both where needed decide")
    weights: Annotated[
        tuple[Weight, Weight], NoDecode, BeforeValidator(_split_weights), AfterValidator(_check_weights)
    ] = Field(WEIGHTS, description="of picture and caption in the ensemble, two numbers: 0.8,0.8")
    gate: Share = Field(GATE, description="confidence above which the picture needs no caption (conditional)")
    threshold: Share | None = Field(
        None,
        description="confidence below which a post is not classified (default: open_clip 0.3, conse 0.26)",
    )
    places: Path | None = Field(None, description="label set, a CSV with category,wording (default: Places205)")
    templates: Templates | None = Field(None, description="prompts of the places (default: the encoder's own)")
    max_image_bytes: int = Field(15 * 2**20, gt=0, description="larger pictures are dead letters")
    max_image_pixels: int = Field(50_000_000, gt=0, le=MAX_PIXELS, description="larger pictures are dead letters")
    max_image_side: int = Field(30_000, gt=0, description="wider or higher pictures are dead letters")
    decode_timeout: float = Field(
        5.0, ge=0.1, le=3600, description="seconds of CPU time that decoding a picture may take"
    )

    def limits(self) -> PictureLimits:
        """What is refused before it is decoded, and what decoding may cost."""
        return PictureLimits(self.max_image_bytes, self.max_image_pixels, self.max_image_side, self.decode_timeout)


def build_classifier(
    settings: ClassifySettings, observe: Callable[[str, float], None] = unobserved, top: int = 5
) -> Classifier:
    """Load the model and encode the places; takes seconds.

    Args:
        settings: as given by flags and environment.
        observe: told the seconds that each batch spends in the stages ``image`` and ``text``.
        top: places named in each ranking.

    Raises:
        CommandError: one line that says what is missing and what to do. There is no silent fall-back.
    """
    device = chosen_device(settings.device, settings.engine)
    if device.startswith("cuda"):
        torch.set_num_threads(1)  # the CPU's part is small then; more threads would wait for each other, spinning
    places = Places.load(settings.places)
    decode_jpeg = nvjpeg.decoder(device) if settings.jpeg_decoder == "nvjpeg" else None
    try:
        encoder = _encoder(settings, device)
    except RuntimeError as error:  # what could be explained already was: this is torch, refusing the device
        raise CommandError(f"DEVICE {device}: {str(error).splitlines()[0]}") from error
    encoder.name += nvjpeg.SUFFIX if decode_jpeg else ""
    threshold = encoder.default_threshold if settings.threshold is None else settings.threshold
    decision = Decision(ensemble=settings.ensemble, weights=settings.weights, gate=settings.gate, threshold=threshold)
    templates = TEMPLATES[settings.templates] if settings.templates else None
    return Classifier(encoder, places, decision, settings.limits(), templates, top, observe, decode_jpeg)


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
