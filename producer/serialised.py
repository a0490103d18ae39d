"""What serialisers of other programs make of a post: encodings, frames, envelopes, other spellings of names.

Each is read where it can mean but one thing, and named otherwise. What a post consists of is `producer.post`'s matter.
"""

import base64
import codecs
import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from pydantic_core import from_json

from producer.base.errors import Wrong

T = TypeVar("T")

MOST_PARTS = 100_000
"""Most brackets and commas of a JSON form: 16 MB of ``[],`` would cost 2 GB and 8 s."""

MOST_WRAPPINGS = 3
"""JSON in a JSON text, or in an envelope: so many are taken off."""

ENVELOPE = {"schema", "payload"}
"""What Kafka Connect's JsonConverter writes with ``schemas.enable``: the value itself is the payload."""

BEGINNING = 4096
"""Bytes from which a text's encoding is told, where that does not depend on the rest."""

LONGEST_NAME = 20
"""A longer name is none of the contract's, however it is spelled."""

LONGEST_WRAPPED = 1000
"""Bytes of a key that is looked into."""

MOST_EXACT = 2**53 - 1
"""Up to here programs that take numbers for floats tell all of them apart."""

CONFLUENT = (
    "the value is of the Confluent serialiser, and its content is no JSON (Avro or Protobuf?); write JSON Schema or "
    "plain JSON"
)
SCHEMA_HEADER = "__value_schema_id"
"""Where Confluent's serialisers of version 8 put what used to stand before the value."""

_FRAME = rb"\0.{4}"  # of Confluent's serialisers: a zero, and the schema's id
_BLANKS = rb"[ \t\r\n]{0,1000}"
_JSON = re.compile(
    rb"(?P<frame>%b)(?:\xef\xbb\xbf)?%b\"?\{(?!\0)|(?:\xef\xbb\xbf|\xff\xfe|(?:\0\0)?\xfe\xff)?[\0 \t\r\n]{0,4000}\"?\{"
    % (_FRAME, _BLANKS),
    re.DOTALL,
)
_BEGINNINGS = frozenset(b'\0\t\n\r "{\xef\xfe\xff')
_LIST = re.compile(rb"(?:%b)?(?:\xef\xbb\xbf)?%b\[" % (_FRAME, _BLANKS), re.DOTALL)
_URL = re.compile(rb"[a-z][a-z0-9+.-]{1,20}://", re.IGNORECASE)
_HEXADECIMAL = re.compile(r"(?:0x|\\x)?(?:ffd8ff|89504e47|47494638|52494646|424d)[0-9a-f]*", re.IGNORECASE)
_NO_BASE64 = re.compile(rb"[^A-Za-z0-9+/=]")

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins as UTF-16's does
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BEGIN_MARKS = tuple(mark for mark, _ in _MARKS)


def encoding_of(beginning: bytes) -> str:
    """Python's name of a text's encoding: by its byte order mark, or zero bytes (UTF-16 without one); else UTF-8."""
    for mark, encoding in _MARKS:
        if beginning.startswith(mark):
            return encoding
    even, odd, least = beginning[::2].count(0), beginning[1::2].count(0), 0.7 * (len(beginning) // 2)
    if odd > least and not even:
        return "utf-16-le"
    if even > least and not odd:
        return "utf-16-be"
    return "utf-8"


def text_of(data: bytes, errors: str = "strict") -> str:
    """A text in UTF-8 or UTF-16, without its byte order mark.

    Raises:
        UnicodeDecodeError: it is neither.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return data.decode(encoding_of(data[:BEGINNING]), errors)
    if "\0" in text or text[:1] == "\ufeff":
        return data.decode(encoding_of(data[:BEGINNING]), errors)
    return text


def unquoted(text: str) -> str:
    """What is inside of a JSON text (``"london"``, as Spring writes headers); any other text as it is."""
    if '"' not in text or not text.lstrip().startswith('"'):  # which also keeps `[[[[…` from a parser that recurses
        return text
    try:
        inner = json.loads(text)
    except ValueError:
        return text
    return inner if isinstance(inner, str) else text


@lru_cache(1000)
def spelled(name: str, fields: tuple[str, ...]) -> str | None:
    """Which of the fields a name of at most `LONGEST_NAME` characters means: case, ``-`` and ``_`` tell none apart."""
    return next((field for field in fields if _plain(field) == _plain(name)), None)


def _plain(name: str) -> str:
    return name.strip("\ufeff \t").replace("-", "").replace("_", "").lower()


def one_each(what: str, found: Mapping[str, T], fields: tuple[str, ...]) -> dict[str, T]:
    """The value of each field: that of its own name or, where that is missing, of another spelling.

    Args:
        what: they are, for the error.
        found: values by name; names that mean no field are left out.
        fields: the names.

    Raises:
        Wrong: two spellings of a field have different values, and none is its own name.
    """
    values: dict[str, T] = {}
    others: dict[str, str] = {}  # field -> the first other spelling of it
    for name, value in found.items():
        if name in fields:
            values[name] = value
        elif len(name) <= LONGEST_NAME and (field := spelled(name, fields)) and field not in found:
            if found[others.setdefault(field, name)] != value:
                names = f"{others[field]} and {name}"
                raise Wrong(f"{what} {field} comes in two spellings, which say different things; send one", names)
            values[field] = value
    return values


def is_json(value: bytes) -> bool:
    """Whether a value, which is not empty, begins as a JSON object, or a JSON text with one in it.

    What may stand before: the Confluent serialiser's frame, a byte order mark, blanks. UTF-16 and UTF-32 count as well.
    """
    return value[0] in _BEGINNINGS and _JSON.match(value) is not None


def fields_of(value: bytes, fields: tuple[str, ...]) -> dict[str, Any]:
    """The fields of the JSON object in a value that `is_json`, out of whatever it is wrapped in.

    Args:
        value: of the record.
        fields: the names that count; others are left out.

    Raises:
        Wrong: no JSON, or no object.
    """
    return one_each("JSON form:", _object(value), fields)


def what_else(value: bytes, headers: Iterable[tuple[str, bytes]] = ()) -> Wrong | None:
    """Why a value that should be a post's JSON form is none, as far as its beginning and its headers tell."""
    if any(name == SCHEMA_HEADER for name, _ in headers):
        return Wrong(CONFLUENT, f"header {SCHEMA_HEADER}")
    if _LIST.match(value):
        return Wrong("the value is a JSON list; send each post as a record of its own")
    if value[:2] == b"\x1f\x8b":
        return Wrong("the value is packed by gzip; leave that to Kafka (compression.type)")
    if value[:1] == b"\0" and (schema := int.from_bytes(value[1:5], "big")) > 0 and len(value) > 5:
        return Wrong(CONFLUENT, f"schema id {schema}")
    return None


def id_of(value: object) -> str:
    """A post's id out of JSON.

    Raises:
        Wrong: it is neither text nor a number that no program can have rounded.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        raise Wrong("post_id is a number with a fraction or an exponent; write it as text")
    if not isinstance(value, int) or isinstance(value, bool):
        raise Wrong("post_id must be text")
    if value < 0:
        raise Wrong("post_id is a negative number; write it as text")
    if value > MOST_EXACT:
        raise Wrong("post_id is a number of 2^53 or more, which many programs round; write it as text")
    return str(value)


def wrapped_id(key: bytes) -> tuple[str, str | None] | None:
    """What a serialiser has made a key, and the id in it, where that is clear; None: it is a plain text, or no text.

    Never to guess an id by: it tells what is wrong with a key, and whether it says the same as another id.
    """
    if key.isalnum() or len(key) > LONGEST_WRAPPED:
        return None
    if key[:1] == b"\0" and key[5:6] in (b'"', b"{"):
        return "of the Confluent serialiser", _id_in_json(key[5:])
    if key.startswith(_BEGIN_MARKS):
        try:
            return "text with a byte order mark", text_of(key)
        except UnicodeDecodeError:
            return None
    if len(key) in (4, 8) and not _is_printable(key):
        return f"no text (a number of {len(key)} bytes?)", str(int.from_bytes(key, "big"))
    if len(key) > 1 and key[:1] == b'"' and key[-1:] == b'"':
        return "JSON text, in quotation marks", _id_in_json(key)
    if key[:1] == b"{" and key[-1:] == b"}":
        return "Kafka Connect's envelope" if b'"payload"' in key else "a JSON object", _id_in_json(key)
    return None


def is_key_of(key: bytes, post_id: str) -> bool:
    """Whether a record's key says the post's id, as it is or as a serialiser has made it."""
    if key == post_id.encode("utf-8", "surrogatepass"):
        return True
    wrapped = wrapped_id(key)
    return wrapped is not None and wrapped[1] == post_id


def picture_of(value: object) -> bytes:
    """A picture out of JSON: base64, also with line breaks, of the URL's alphabet, unpadded, or as a data URL.

    Raises:
        Wrong: it is nothing of that, or empty.
    """
    if not isinstance(value, str):
        raise Wrong("image must be base64 text", _json_type(value))
    if _HEXADECIMAL.match(value[:40]) and _HEXADECIMAL.fullmatch(value):
        raise Wrong("image is hexadecimal; write base64")
    try:
        picture = base64.b64decode(value, validate=True)
    except ValueError:
        picture = _loose_base64(value)
    if not picture:
        raise Wrong("image is empty")
    return picture


def _object(value: bytes) -> dict[str, Any]:
    read: Any = _parsed(_utf_8(value))
    for _ in range(MOST_WRAPPINGS):
        if isinstance(read, str):
            if not read.lstrip().startswith(("{", '"')):
                break
            read = _parsed(read.encode("utf-8", "surrogatepass"))
        elif isinstance(read, dict) and read.keys() == ENVELOPE:
            read = read["payload"]
            if not isinstance(read, (dict, str)):
                raise Wrong("JSON form: a Connect envelope whose payload is no object", _json_type(read))
        else:
            break
    if not isinstance(read, dict):
        raise Wrong("JSON form: must be an object", _json_type(read))
    return read


def _utf_8(value: bytes) -> bytes:
    """JSON text in UTF-8, without frame and byte order mark."""
    if (found := _JSON.match(value)) and found["frame"]:
        value = value[5:]
    encoding = json.detect_encoding(value[:4])
    if encoding == "utf-8":
        return value
    if encoding == "utf-8-sig":
        return value[len(codecs.BOM_UTF8) :]
    try:
        return value.decode(encoding).encode()
    except UnicodeDecodeError:
        raise Wrong(f"JSON form: begins as {encoding.upper()}, and is not") from None


def _parsed(text: bytes) -> Any:
    _check_parts(text)
    try:
        return from_json(text)
    except ValueError as error:
        raise Wrong("JSON form: invalid JSON", str(error)[:200]) from None


def _check_parts(text: bytes) -> None:
    """Make sure that JSON text is not made of millions of values, before a parser makes objects of them."""
    parts = 0
    for mark in b",[{":
        at = text.find(mark)  # `bytes.count` takes thirty times as long where there are few
        while at >= 0:
            parts += 1
            if parts > MOST_PARTS:
                raise Wrong(
                    f"JSON form: more than {MOST_PARTS} brackets and commas (a picture as a list of numbers? write "
                    "base64)"
                )
            at = text.find(mark, at + 1)


def _json_type(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return f"it is {names.get(type(value), 'a number')}"


def _id_in_json(text: bytes) -> str | None:
    try:
        read = from_json(text)
        if isinstance(read, dict):
            read = read["payload"] if read.keys() == ENVELOPE else None
        return id_of(read)
    except ValueError:
        return None


def _is_printable(data: bytes) -> bool:
    try:
        return data.decode().strip().isprintable()
    except UnicodeDecodeError:
        return False


def _loose_base64(value: str) -> bytes:
    if not value.isascii():
        raise Wrong("image is not base64")
    text = value.encode().strip()
    if text[:5].lower() == b"data:":
        head, _, text = text.partition(b",")
        if not head.lower().rstrip().endswith(b";base64"):
            raise Wrong("image is a data URL that is not base64; write data:image/jpeg;base64,…")
    elif _URL.match(text):
        raise Wrong("image is a URL; placestream downloads nothing: send the picture itself, as base64")
    text = text.translate(None, b" \t\r\n\f\v")
    if b"-" in text or b"_" in text:
        if b"+" in text or b"/" in text:
            raise Wrong("image is base64 of two alphabets at once (+ / and - _)")
        text = text.translate(bytes.maketrans(b"-_", b"+/"))
    if wrong := _NO_BASE64.search(text):
        raise Wrong("image is not base64", f"it has {wrong[0].decode()!r}")
    text = text.rstrip(b"=")
    if len(text) % 4 == 1:
        raise Wrong("image is base64 that lacks its end", f"{len(text)} characters")
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise Wrong("image is base64 with padding in its middle (several texts put together?)") from None
