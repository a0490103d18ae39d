"""What computes the two towers of a model: torch, or OpenVINO on a CPU from a conversion that is kept on disk."""

import functools
import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F

from consumer.classify.compute.versions import versions
from producer.base.cache import cache_folder
from producer.base.errors import CommandError

log = logging.getLogger(__name__)

Engine = Literal["torch", "openvino"]
Precision = Literal["fp32", "bf16", "fp16", "int8"]
HINTS: dict[Precision, str] = {"fp32": "f32", "bf16": "bf16", "int8": "bf16"}
"""The precisions that OpenVINO computes in on a CPU, in its own words; of int8 what is not quantised; see `_hint`."""

LEAST_COSINE = 0.99
"""Between OpenVINO's and torch's vectors, compared at every start. Of a random ViT-B-32 bf16 and int8 leave 0.9999."""
COMPARED = 8
"""Inputs of the calibration that are compared."""

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
        calibration: inputs of one row that int8 is fitted to.
    """

    name: str
    model: torch.nn.Module
    encode: Callable[[torch.Tensor], torch.Tensor]
    example: torch.Tensor
    dynamic: tuple[int, ...]
    calibration: tuple[torch.Tensor, ...] = ()


def check(engine: Engine, precision: Precision, device: str, compiled: bool = False, calibrated: bool = False) -> None:
    """Refuse settings that contradict one another, and an engine that is not installed; warn of one that is no use.

    Args:
        engine: what computes.
        precision: of the arithmetic.
        device: as torch calls it.
        compiled: whether torch compiles the towers.
        calibrated: whether there are pictures that int8 can be fitted to.

    Raises:
        CommandError: one line that names the settings.
    """
    if engine == "torch" and precision == "int8":
        raise CommandError("PRECISION int8: ENGINE torch does not compute in it; set ENGINE openvino")
    if engine == "torch" and precision != "fp32" and not device.startswith("cuda"):
        raise CommandError(
            f"PRECISION {precision}: ENGINE torch computes in fp32 only on DEVICE {device}; set ENGINE openvino"
        )
    if calibrated and precision != "int8":
        raise CommandError(f"CALIBRATION is for PRECISION int8, not for {precision}")
    if engine == "openvino":
        if compiled:
            raise CommandError("COMPILE: ENGINE openvino compiles by itself; leave it out, or set ENGINE torch")
        if precision not in HINTS:
            raise CommandError(
                f"PRECISION {precision}: ENGINE openvino computes in {', '.join(HINTS)}; set one of them"
            )
        if device != "cpu":
            raise CommandError(f"ENGINE openvino: it computes on the CPU, not on DEVICE {device}; set ENGINE torch")
        if not computes():
            raise CommandError("ENGINE openvino: OpenVINO does not compute without AVX; set ENGINE torch")
        if precision == "int8" and not calibrated:
            raise CommandError("PRECISION int8 needs CALIBRATION: a dataset whose pictures are like yours")
        if precision == "int8" and find_spec("nncf") is None:
            raise CommandError("PRECISION int8 needs the package nncf: pip install 'placestream[openvino]'")
        if precision == "int8" and not computes_in_int8():
            raise CommandError(
                "PRECISION int8: this CPU has no VNNI: its sums would overflow, and come no faster; set PRECISION fp32"
            )
        if _hint(precision) != HINTS[precision]:
            what = "all" if precision == "bf16" else "what int8 leaves"
            log.warning("PRECISION %s: this CPU has no avx512_bf16 or amx: %s is computed in fp32", precision, what)


def computes() -> bool:
    """Whether OpenVINO computes here: on an x86-64 without AVX 2026.4 gives no vectors, or a segmentation fault.

    ONEDNN_MAX_CPU_ISA=SSE41 takes AVX from it as well.
    """
    return os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper() != "SSE41" and _cpu_has("avx")


def computes_in_int8() -> bool:
    """Whether the CPU adds up products of bytes without overflow.

    An x86-64 needs VNNI for it: without, vectors were seen at a cosine of 0.98 with fp32's, and came no faster.
    """
    return _cpu_has("avx512_vnni", "avx_vnni")


def _cpu_has(*instructions: str) -> bool:
    """Whether an x86-64 has any of these. Of another CPU, and where torch is too old to tell: it may."""
    capabilities: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return capabilities.get("architecture") != "x86_64" or any(capabilities.get(name, True) for name in instructions)


def suffix(engine: Engine, precision: Precision, fitted_to: str = "") -> str:
    """The end of an encoder's name: every label says what computed it. Nothing for torch in fp32.

    Args:
        engine: what computes.
        precision: of the arithmetic.
        fitted_to: stamp of the pictures that int8 was fitted to.
    """
    if (engine, precision) == ("torch", "fp32"):
        return ""
    return f"+{engine}-{precision}" + (f"-{fitted_to}" if fitted_to else "")


def in_openvino(tower: Tower, precision: Precision, identity: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """What ``tower.encode`` computes, computed by OpenVINO. The first conversion takes a minute, later it is on disk.

    Args:
        tower: in evaluation mode; for int8 with a calibration.
        precision: of the arithmetic. The conversion on disk has the weights as they are and serves every precision but
            int8, which has one of its own, made from it.
        identity: the model's architecture and weights by name.

    Raises:
        CommandError: OpenVINO cannot convert or compute the tower, or its vectors are others; or no place on disk.
    """
    openvino = import_openvino()
    options = {
        "INFERENCE_PRECISION_HINT": _hint(precision),  # never what the CPU would prefer
        "PERFORMANCE_HINT": "LATENCY",  # one batch at a time, on all threads
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),  # OMP_NUM_THREADS is then the limit of both engines
        "ENABLE_CPU_PINNING": False,  # decoding shares these cores
    }
    examples = tower.calibration[:COMPARED] or (tower.example,)
    try:
        folder = (_quantised if precision == "int8" else _converted)(openvino, tower, identity)
        compiled = _core(openvino).compile_model(folder / "tower.xml", "CPU", options)
        vectors = torch.cat([torch.from_numpy(compiled(example.numpy())[0]) for example in examples])
    except CommandError:
        raise
    except Exception as error:  # of torch.export, of OpenVINO's converter or of the disk: too many to name
        message = " ".join(str(error).split())[:200]
        raise CommandError(f"ENGINE openvino: the {tower.name} tower of {identity}: {message}") from error
    with torch.inference_mode():
        cosine = float(F.cosine_similarity(vectors, torch.cat([tower.encode(each) for each in examples])).min())
    if not cosine >= LEAST_COSINE:  # NaN too
        raise CommandError(
            f"ENGINE openvino, PRECISION {precision}: the {tower.name} tower of {identity} computes other vectors "
            f"(cosine {cosine:.3f}); set ENGINE torch"
        )
    return lambda batch: torch.from_numpy(compiled(batch.numpy())[0])


def import_openvino() -> Any:
    """OpenVINO, without the package by which its converter reports its use over the network."""
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment] # makes its import fail, which it expects
    try:
        import openvino
    except ImportError:
        raise CommandError("ENGINE openvino needs the package openvino: pip install 'placestream[openvino]'") from None
    return openvino


def _hint(precision: Precision) -> str:
    """In OpenVINO's words; where the CPU has no instructions for bf16, OpenVINO would imitate them, slowly."""
    capabilities = _core(import_openvino()).get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "f32" if HINTS[precision] == "bf16" and "BF16" not in capabilities else HINTS[precision]


@functools.cache
def _core(openvino: Any) -> Any:
    """OpenVINO's Core, the same one for as long as the process lives.

    Each Core registers an alternate signal stack (sigaltstack) for the thread that makes it, and unmaps it at its own
    end, when a later Core may have registered another: Python's signal handlers would run on unmapped memory (SIGSEGV).
    """
    return openvino.Core()


def _converted(openvino: Any, tower: Tower, identity: str) -> Path:
    """The folder with the tower's conversion, which is made unless a whole one is there."""
    folder = cache_folder("openvino") / f"{tower.name}-{_key(tower, identity)}"

    def convert(file: Path) -> None:
        log.warning("converting the %s tower of %s for OpenVINO (once, up to a minute)", tower.name, identity)
        openvino.save_model(_convert(openvino, tower), file, compress_to_fp16=False)

    return _kept(folder, convert)


def _quantised(openvino: Any, tower: Tower, identity: str) -> Path:
    """The folder with the tower in int8, fitted to its calibration, which is made unless a whole one is there."""
    inputs = [each.numpy() for each in tower.calibration]
    digest = hashlib.sha256(f"{_key(tower, identity)} {version('nncf')}".encode())
    digest.update(Path(__file__).with_name("quantise.py").read_bytes())
    for each in inputs:
        digest.update(repr((each.shape, each.dtype)).encode() + each.tobytes())
    folder = cache_folder("openvino") / f"{tower.name}-int8-{digest.hexdigest()[:16]}"

    def quantise(file: Path) -> None:
        plain = _converted(openvino, tower, identity) / "tower.xml"
        log.warning("fitting the %s tower of %s to int8 (once, up to a minute)", tower.name, identity)
        saved = file.with_name("inputs.npz")
        np.savez(saved, *inputs)
        command = [sys.executable, "-m", "consumer.classify.compute.quantise", *map(str, (plain, saved, file))]
        ended = subprocess.run(command, capture_output=True, text=True)
        if ended.returncode:
            raise RuntimeError((ended.stderr.strip().splitlines() or ["NNCF ended without a word"])[-1])
        saved.unlink()

    return _kept(folder, quantise)


def _kept(folder: Path, make: Callable[[Path], None]) -> Path:
    """The folder, with the conversion that `make` writes to a path, unless a whole one is there."""
    if _is_whole(folder):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="converting-") as name:
        fresh = Path(name) / "whole"
        fresh.mkdir()
        make(fresh / "tower.xml")
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
    digest.update(repr((identity, tower.name, tuple(tower.example.shape), tower.dynamic, versions())).encode())
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
