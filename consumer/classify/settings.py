"""The settings of classifying: which model, which places, and how picture and caption decide."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from consumer.classify.compute.engine import Engine, Precision
from consumer.classify.decision import GATE, WEIGHTS, EnsembleKind
from consumer.classify.identity import EncoderSettings
from consumer.classify.pictures.decode import MAX_PIXELS, PictureLimits
from consumer.classify.places import Templates


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


class DecideSettings(EncoderSettings):
    """Which places, and how picture and caption decide."""

    ensemble: EnsembleKind = Field(
        "conditional", description="what decides: only-image, ensemble of both, or conditional"
    )
    weights: Annotated[
        tuple[Weight, Weight], NoDecode, BeforeValidator(_split_weights), AfterValidator(_check_weights)
    ] = Field(WEIGHTS, description="of picture and caption in the ensemble")
    gate: Share = Field(GATE, description="confidence above which the picture needs no caption (conditional)")
    threshold: Share | None = Field(
        None,
        description="confidence below which a post is not classified (default: open_clip 0.3, conse 0.26)",
    )
    broader_threshold: Share | None = Field(
        None,
        description="summed probability that a group of places needs to be the broader answer "
        "(default: 0.6, or THRESHOLD where that is higher)",
    )
    places: Path | None = Field(None, description="label set, CSV category,wording (default: Places205)")
    templates: Templates | None = Field(None, description="prompts of the places (default: the encoder's own)")


class ClassifySettings(DecideSettings):
    """What computes the vectors, and from which pictures."""

    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$", description="auto, cpu, cuda, cuda:N or mps")
    engine: Engine = Field("torch", description="torch, or openvino for CPUs (an extra)")
    precision: Precision = Field(
        "fp32",
        description="fp32; open_clip also bf16 or fp16 on cuda, bf16 or int8 with openvino",
    )
    calibration: Path | None = Field(None, description="dataset whose first 300 pictures int8 is fitted to")
    compile: bool = Field(False, description="let torch compile the model (open_clip): minutes at the start, for GPUs")
    jpeg_decoder: Literal["pillow", "nvjpeg"] = Field("pillow", description="pillow, or nvjpeg on the GPU (an extra)")
    max_image_bytes: int = Field(15 * 2**20, gt=0, description="larger pictures are dead letters")
    max_image_pixels: int = Field(50_000_000, gt=0, le=MAX_PIXELS, description="larger pictures are dead letters")
    max_image_side: int = Field(30_000, gt=0, description="wider or higher pictures are dead letters")
    decode_timeout: float = Field(5.0, ge=0.1, le=3600, description="seconds of CPU time to decode a picture")

    def limits(self) -> PictureLimits:
        """What is refused before it is decoded, and what decoding may cost."""
        return PictureLimits(self.max_image_bytes, self.max_image_pixels, self.max_image_side, self.decode_timeout)
