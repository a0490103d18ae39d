"""What computes the two towers of a model: torch, or OpenVINO on a CPU from a conversion that is kept on disk."""

import hashlib
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F

from consumer import __version__
from producer.errors import CommandError

log = logging.getLogger(__name__)

Engine = Literal["torch", "openvino"]
Precision = Literal["fp32", "bf16", "fp16"]
HINTS: dict[Precision, str] = {"fp32": "f32", "bf16": "bf16"}
"""The precisions that OpenVINO computes in on a CPU, in its own words."""

LEAST_COSINE = 0.99
"""Between OpenVINO's and torch's vectors, compared at every start. Rounding to bf16 leaves more than 0.999."""

CHECKSUMS = "SHA256SUMS"
"""Of the files of a conversion, as sha256sum writes and checks them."""


@dataclass(frozen=True, slots=True)
class Tower:
    """One of a model's two towers, as torch computes it.

    Attributes:
        name: ``image`` or ``text``.
        model: that owns the tower's parameters; on the CPU for OpenVINO.
        encode: pixels ``[n, 3, h, w]`` or tokens ``[n, length]`` to vectors ``[n, d]``.
        example: an input of at least two rows.
        dynamic: dimensions of the input that vary.
    """

    name: str
    model: torch.nn.Module
    encode: Callable[[torch.Tensor], torch.Tensor]
    example: torch.Tensor
    dynamic: tuple[int, ...]


def check(engine: Engine, precision: Precision, device: str, compiled: bool = False) -> None:
    """Refuse settings that contradict one another, and an engine that is not installed; warn of one that is no use.

    Args:
        engine: what computes.
        precision: of the arithmetic.
        device: as torch calls it.
        compiled: whether torch shall compile the towers.

    Raises:
        CommandError: one line that names the settings.
    """
    if engine == "torch" and precision != "fp32" and not device.startswith("cuda"):
        raise CommandError(
            f"PRECISION {precision}: ENGINE torch computes in fp32 only on DEVICE {device}; set ENGINE openvino"
        )
    if engine == "openvino":
        if compiled:
            raise CommandError("COMPILE: ENGINE openvino compiles by itself; leave it out, or set ENGINE torch")
        if precision not in HINTS:
            raise CommandError(
                f"PRECISION {precision}: ENGINE openvino computes in {' or '.join(HINTS)}; set one of them"
            )
        if device != "cpu":
            raise CommandError(f"ENGINE openvino: it computes on the CPU, not on DEVICE {device}; set ENGINE torch")
        capabilities = _import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "bf16" and "BF16" not in capabilities:
            log.warning("PRECISION bf16: this CPU has no avx512_bf16 or amx and computes in fp32, no faster")


def suffix(engine: Engine, precision: Precision) -> str:
    """The end of an encoder's name: every label says what computed it. Nothing for torch in fp32."""
    return "" if (engine, precision) == ("torch", "fp32") else f"+{engine}-{precision}"


def in_openvino(tower: Tower, precision: Precision, identity: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """What ``tower.encode`` computes, computed by OpenVINO. The first conversion takes a minute, later it is on disk.

    Args:
        tower: in evaluation mode.
        precision: of the arithmetic. The conversion on disk has the weights as they are and serves every precision.
        identity: the model's architecture and weights by name.

    Raises:
        CommandError: OpenVINO cannot convert or compute the tower, or its vectors are others; or no place on disk.
    """
    openvino = _import_openvino()
    options = {
        "INFERENCE_PRECISION_HINT": HINTS[precision],  # never what the CPU would prefer
        "PERFORMANCE_HINT": "LATENCY",  # one batch at a time, on all threads
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),  # OMP_NUM_THREADS is then the limit of both engines
        "ENABLE_CPU_PINNING": False,  # decoding shares these cores
    }
    try:
        folder = _converted(openvino, tower, identity)
        compiled = openvino.Core().compile_model(folder / "tower.xml", "CPU", options)
        vectors = torch.from_numpy(compiled(tower.example.numpy())[0])
    except Exception as error:  # of torch.export, of OpenVINO's converter or of the disk: too many to name
        message = " ".join(str(error).split())[:200]
        raise CommandError(f"ENGINE openvino: the {tower.name} tower of {identity}: {message}") from error
    with torch.inference_mode():
        cosine = float(F.cosine_similarity(vectors, tower.encode(tower.example)).min())
    if not cosine >= LEAST_COSINE:  # NaN too
        raise CommandError(
            f"ENGINE openvino, PRECISION {precision}: the {tower.name} tower of {identity} computes other vectors "
            f"(cosine {cosine:.3f}); set ENGINE torch"
        )
    return lambda batch: torch.from_numpy(compiled(batch.numpy())[0])


def cache_folder() -> Path:
    """Where conversions stay: below XDG_CACHE_HOME or ~/.cache. Whatever is in it may be deleted."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "placestream" / "openvino"


def _import_openvino() -> Any:
    """OpenVINO, without the package by which its converter reports its use over the network."""
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment] # makes its import fail, which it expects
    try:
        import openvino
    except ImportError:
        raise CommandError("ENGINE openvino needs the package openvino: pip install 'placestream[openvino]'") from None
    return openvino


def _converted(openvino: Any, tower: Tower, identity: str) -> Path:
    """The folder with the tower's conversion, which is made unless a whole one is there."""
    folder = cache_folder() / f"{tower.name}-{_key(tower, identity)}"
    if _is_whole(folder):
        return folder
    log.warning("converting the %s tower of %s for OpenVINO (once, up to a minute)", tower.name, identity)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="converting-") as name:
        fresh = Path(name) / "whole"
        fresh.mkdir()
        openvino.save_model(_convert(openvino, tower), fresh / "tower.xml", compress_to_fp16=False)
        (fresh / CHECKSUMS).write_text(_checksums(fresh))
        shutil.rmtree(folder, ignore_errors=True)  # broken
        try:
            fresh.rename(folder)
        except OSError:
            if not _is_whole(folder):  # another process was faster: its conversion is as good
                raise
    return folder


def _key(tower: Tower, identity: str) -> str:
    """A hash of everything that a conversion depends on."""
    digest = hashlib.sha256()
    versions = (__version__, *(f"{package} {version(package)}" for package in ("torch", "open_clip_torch", "openvino")))
    digest.update(repr((identity, tower.name, tuple(tower.example.shape), tower.dynamic, versions)).encode())
    digest.update(repr(tower.model).encode())
    for name, weights in tower.model.state_dict().items():
        digest.update(f"{name} {weights.dtype} {tuple(weights.shape)}".encode())
        digest.update(weights.detach().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


def _convert(openvino: Any, tower: Tower) -> Any:
    dynamic = dict.fromkeys(tower.dynamic, torch.export.Dim.DYNAMIC)
    with torch.no_grad(), _plain_attention():
        example = tower.example.contiguous()  # of a view torch.export makes a program that cannot be converted
        exported = torch.export.export(_Module(tower), (example,), dynamic_shapes=(dynamic,))
    graph = openvino.convert_model(exported)
    graph.reshape([-1 if index in dynamic else size for index, size in enumerate(tower.example.shape)])
    return graph


class _Module(torch.nn.Module):
    """A tower as torch.export wants it."""

    def __init__(self, tower: Tower) -> None:
        super().__init__()
        self.model = tower.model
        self.encode = tower.encode

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.encode(batch)


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Without torch's fused attention, an operation that OpenVINO does not know."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _is_whole(folder: Path) -> bool:
    try:
        return (folder / CHECKSUMS).read_text() == _checksums(folder)
    except (OSError, UnicodeError):
        return False


def _checksums(folder: Path) -> str:
    lines = []
    for name in ("tower.xml", "tower.bin"):
        with (folder / name).open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n")
    return "".join(lines)
