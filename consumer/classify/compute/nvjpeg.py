"""JPEGs decoded on the GPU, by TorchCodec and NVIDIA's nvJPEG."""

import io
import threading
from collections.abc import Callable

import torch
from PIL import Image

from producer.base.errors import CommandError

SUFFIX = "+nvjpeg"
"""The end of an encoder's name: its levels differ a little from libjpeg's, and a label says what it was made with."""


def decoder(device: str) -> Callable[[bytes], torch.Tensor]:
    """What decodes a JPEG to its levels, uint8 ``[3, h, w]`` on the device. Thread-safe.

    TorchVision has one as well, deprecated, which writes into memory that other kernels still read (its pull request
    9606).

    Raises:
        CommandError: no CUDA device, TorchCodec is missing, or it cannot decode there.
    """
    if not device.startswith("cuda"):
        raise CommandError(f"JPEG_DECODER nvjpeg: it decodes on CUDA devices, not on DEVICE {device}; set pillow")
    try:
        from torchcodec.decoders import decode_jpeg
    except (ImportError, RuntimeError, OSError) as error:  # it loads libraries, and those may not fit to torch's
        why = _first_line(error)
        raise CommandError(
            f"JPEG_DECODER nvjpeg needs the package torchcodec: pip install 'placestream[nvjpeg]' ({why})"
        ) from None
    threads = threading.local()

    def decode(data: bytes) -> torch.Tensor:
        if not hasattr(threads, "stream"):
            # TorchCodec waits for its stream, which must not be the model's.
            threads.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        with torch.cuda.stream(threads.stream):
            levels: torch.Tensor = decode_jpeg(data, mode="RGB", device=device)
        levels.record_stream(torch.cuda.current_stream(device))  # its memory is not given away before that has read it
        return levels

    try:
        decode(_any_jpeg())
    except Exception as error:  # of torch, CUDA or nvJPEG: every picture would fail and quietly be left to Pillow
        raise CommandError(f"JPEG_DECODER nvjpeg cannot decode on DEVICE {device}: {_first_line(error)}") from None
    return decode


def _any_jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (300, 300)).save(buffer, "JPEG")
    return buffer.getvalue()


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
