"""What bytes are by the first of them: for the words that say why a picture cannot be used."""

import re
import struct

_BEGINNINGS = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "WEBP": rb"RIFF....WEBP",
    "GIF": rb"GIF8[79]a",
    "BMP": rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
    "PPM": rb"P[1-6]\s+[\d#]",
    "AVIF": rb"....ftyp(avi[fs]|m[is]f1.{4}(....)*avi[fs])",
    "HEIC": rb"....ftyp(hei|hev|m[is]f1)",
    "JPEG XL": rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n",
    "JPEG 2000": rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
    "Photoshop": rb"8BPS",
    "an icon": rb"\0\0[\1\2]\0[\1-\x40]\0",
    "PDF": rb"%PDF-",
    "PostScript": rb"%!PS",
    "SVG or XML": rb"(\xef\xbb\xbf)?\s*(?i:<svg|<\?xml)",
    "a web page": rb"(\xef\xbb\xbf)?\s*(?i:<!doctype html|<html|<head)",
    "a picture in base64": rb"/9j/|iVBORw0KGgo|R0lGOD|UklGR|(?i:data:image/)",
    "a picture in hexadecimal": rb"(?i:(0x|\\x)?(ffd8ff|89504e47|47494638|52494646))",
    "a URL (nothing is downloaded)": rb"(?i:https?://)",
    "a film": rb"....ftyp|\x1a\x45\xdf\xa3",
}
"""What is read, and what else comes where pictures are expected -> how it begins. The first that fits."""
_PATTERNS = {name: re.compile(pattern, re.DOTALL) for name, pattern in _BEGINNINGS.items()}
_LOOKED_AT = 512
"""Bytes."""


def kind_of(data: bytes) -> str | None:
    """What the bytes seem to be: a format of `producer.pictures`, or a name of something else. None: nothing known."""
    first = data[:_LOOKED_AT]
    return next((name for name, pattern in _PATTERNS.items() if pattern.match(first)), None)


def avif_size(data: bytes) -> tuple[int, int]:
    """Width and height of the largest picture in an AVIF, as its headers say; 0 x 0 if they do not."""
    sizes = [struct.unpack(">II", size) for size in re.findall(rb"ispe\0{4}(.{8})", data, re.DOTALL)]
    return max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))
