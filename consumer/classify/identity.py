"""Which encoder: its settings, and whose vectors lie in its space. Loads none: torch is slow to import."""

from typing import Literal

from pydantic import Field

from producer.base.settings import Settings


class EncoderSettings(Settings):
    """Which encoder makes the vectors."""

    encoder: Literal["open_clip", "conse"] = Field(
        "open_clip", description="open_clip downloads weights, conse does not"
    )
    model: str = Field("ViT-B-32", min_length=1, description="architecture (open_clip)")
    pretrained: str = Field(
        "laion2b_s34b_b79k",
        min_length=1,
        description="weights (open_clip): a tag, a checkpoint's path, or random for benchmarks",
    )


def is_of(name: str, identity: str) -> bool:
    """Whether vectors that bear an encoder's name are in the space of this identity.

    What a name has beyond the identity says only how it was computed: ``+icc+openvino``.
    """
    return name == identity or name.startswith(f"{identity}+")
