"""The settings of `benchmark`."""

import warnings
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from consumer.classify.settings import ClassifySettings
from consumer.label.settings import BatchSettings
from producer.base.settings import KafkaSettings

Part = Literal["model", "null", "vectors", "age", "scaling", "processes"]
PARTS: tuple[Part, ...] = ("model", "null", "vectors", "age", "scaling")

# pydantic's own deprecated method `json` has the name that users expect of the option
warnings.filterwarnings("ignore", 'Field name "json" in "BenchmarkSettings" shadows')


def _split(value: object) -> object:
    return tuple(dict.fromkeys(value.split(","))) if isinstance(value, str) else value


Several = (NoDecode, BeforeValidator(_split))


class BenchmarkSettings(KafkaSettings, ClassifySettings, BatchSettings):
    """Measure the pipeline beside the bare model, in turn and on the same machine; it creates and deletes topics."""

    pretrained: str = Field("random", min_length=1, description="weights (open_clip); speed does not depend on them")
    parts: Annotated[tuple[Part, ...], *Several] = Field(
        PARTS,
        description="what is measured; vectors: model and null also with a vectors topic; also processes: several "
        "workers on one device",
    )
    posts: int = Field(600, ge=8, description="posts of a run with the model")
    null_posts: int = Field(20_000, ge=100, description="posts of a run without")
    process_posts: int = Field(600, ge=8, description="posts of each worker of processes; for a GPU 5,000")
    repeats: int = Field(3, ge=1, description="runs of each; medians are printed")
    decode_threads: int = Field(2, ge=1, le=64, description="threads that decode pictures")
    partitions: int = Field(6, ge=1, description="partitions of the topics")
    workers: Annotated[tuple[int, ...], *Several] = Field(
        (1, 2), description="numbers of workers for scaling and processes"
    )
    rate: float = Field(0.5, gt=0, le=1, description="arrival rate for a post's age, as a share of the throughput")
    load_seconds: float = Field(20.0, gt=0, description="seconds at that rate")
    photos: Path | None = Field(None, description="folder of JPEGs instead of made-up pictures")
    json: Path | None = Field(None, description="file for every figure")  # type: ignore[assignment]
    plot: Path | None = Field(None, description="PNG of the throughputs")
