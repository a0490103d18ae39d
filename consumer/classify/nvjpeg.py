"""JPEGs decoded on the GPU, by TorchCodec and NVIDIA's nvJPEG. Not run yet."""

from collections.abc import Callable
from functools import partial

import torch

from producer.errors import CommandError

SUFFIX = "+nvjpeg"
"""The end of an encoder's name: its levels differ a little from libjpeg's, and a label says what it was made with."""


def decoder(device: str) -> Callable[[bytes], torch.Tensor]:
    """What decodes a JPEG to its levels, uint8 ``[3, h, w]`` on the device. Thread-safe.

    TorchVision has one as well, deprecated, which writes into memory that other kernels still read (its pull request
    9606).

    Raises:
        CommandError: no CUDA device, or TorchCodec is missing.
    """
    if not device.startswith("cuda"):
        raise CommandError(f"JPEG_DECODER nvjpeg: it decodes on CUDA devices, not on DEVICE {device}; set pillow")
    try:
        from torchcodec.decoders import decode_jpeg
    except (ImportError, RuntimeError, OSError) as error:  # it loads libraries, and those may not fit to torch's
        why = str(error).strip().partition("\n")[0]
        raise CommandError(
            f"JPEG_DECODER nvjpeg needs the package torchcodec: pip install 'placestream[nvjpeg]' ({why})"
        ) from None
    return partial(decode_jpeg, mode="RGB", device=device)
