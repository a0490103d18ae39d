"""What a post is, and how it travels as a Kafka record: the contract of the input topic, in both of its forms."""

import base64
import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from producer.city import city_name

Headers = Sequence[tuple[str, bytes]]

MOST_PARTS = 100_000
"""Most brackets and commas of a JSON form: 16 MB of ``[],`` would cost 2 GB and 8 s."""


class BadRecord(ValueError):
    """The record breaks the contract; the message says which part and how."""


@dataclass(frozen=True, slots=True)
class Post:
    """One social-media post.

    Attributes:
        post_id: the platform's id, as text (19 digits do not survive a float).
        city: where the post belongs (in InstaCities the hashtag it was found by).
        picture: the picture's bytes as they are, encoded (JPEG, PNG, WebP …); never empty.
        caption: the post's text; None when blank or missing.
        created_at: when the post was made, in UTC; None when unknown.
    """

    post_id: str
    city: str
    picture: bytes
    caption: str | None = None
    created_at: datetime | None = None

    def to_record(self) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
        """Key, value and headers of the post's record in its binary form."""
        headers = [("city", self.city.encode())]
        if self.caption is not None:
            headers.append(("caption", self.caption.encode("utf-8", "replace")))
        if content_type := _content_type(self.picture):
            headers.append(("content-type", content_type.encode()))
        if self.created_at is not None:
            headers.append(("created-at", format_time(self.created_at).encode()))
        return self.post_id.encode(), self.picture, headers

    @classmethod
    def from_record(cls, key: bytes | None, value: bytes | None, headers: Headers | None) -> "Post":
        """Read a record in either form.

        Raises:
            BadRecord: with one line that says precisely what is wrong.
        """
        named = _decode_headers(headers or ())
        if value is None:
            raise BadRecord("the value is null; it must be the picture's bytes or the JSON form")
        if not value:
            raise BadRecord("the value is empty; it must be the picture's bytes or the JSON form")
        content_type = named.get("content-type")
        if content_type is None:
            is_json = value.startswith(b"{")
        else:
            is_json = content_type.split(";")[0].strip().lower() == "application/json"
        return _from_json(key, value) if is_json else _from_binary(key, value, named)


def parse_time(text: str) -> datetime:
    """An ISO 8601 instant; without an offset it is UTC.

    Raises:
        ValueError: the text is no instant.
    """
    text = text.strip()
    if text.isdigit() and len(text) != 8:  # Python reads a number of milliseconds as a day of the year 1701
        raise ValueError("a number is no ISO 8601 time")
    moment = datetime.fromisoformat(text)
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:  # the first hours of year 1, the last of 9999
        raise ValueError(str(error)) from None


def format_time(moment: datetime) -> str:
    """The instant in UTC with milliseconds: ``2017-03-29T02:30:13.147Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def check_parts(value: bytes) -> None:
    """Make sure that JSON text is not made of millions of values, before a parser makes objects of them.

    Raises:
        BadRecord: it is.
    """
    parts = 0
    for mark in b",[{":
        at = value.find(mark)  # `bytes.count` takes thirty times as long where there are few
        while at >= 0:
            parts += 1
            if parts > MOST_PARTS:
                raise BadRecord(f"JSON form: more than {MOST_PARTS} brackets and commas")
            at = value.find(mark, at + 1)


def _from_binary(key: bytes | None, value: bytes, named: dict[str, str]) -> Post:
    if key is None:
        raise BadRecord("the key is missing; it must be the post_id")
    if "city" not in named:
        raise BadRecord("header city is missing")
    try:
        post_id = _not_blank(key.decode("utf-8"))
        city = city_name(named["city"])
    except UnicodeDecodeError:
        raise BadRecord("the key is not UTF-8; it must be the post_id") from None
    except ValueError as error:
        raise BadRecord(str(error)) from None
    created_at = None
    if "created-at" in named:
        try:
            created_at = parse_time(named["created-at"])
        except ValueError:
            raise BadRecord(f"header created-at is not an ISO 8601 time: {named['created-at'][:40]!r}") from None
    return Post(post_id, city, value, _blank_is_none(named.get("caption")), created_at)


class _JsonPost(BaseModel):
    """The JSON form, as written by clients that cannot set headers."""

    model_config = ConfigDict(strict=True, extra="ignore")

    post_id: Annotated[str, AfterValidator(lambda text: _not_blank(text))]
    city: Annotated[str, AfterValidator(city_name)]
    caption: str | None = None
    created_at: Annotated[datetime | None, BeforeValidator(lambda value: _parse_json_time(value))] = None
    image: Annotated[bytes, BeforeValidator(lambda value: _decode_base64(value))] = Field(min_length=1)


def _from_json(key: bytes | None, value: bytes) -> Post:
    check_parts(value)
    try:
        read = _JsonPost.model_validate_json(value)
    except ValidationError as error:
        first: Any = error.errors()[0]
        where = f"{first['loc'][0]}: " if first["loc"] else ""
        raise BadRecord(f"JSON form: {where}{first['msg'].removeprefix('Value error, ')}"[:500]) from None
    if key is not None and key != read.post_id.encode("utf-8", "surrogatepass"):
        raise BadRecord(f"the key {key[:40]!r} differs from post_id {read.post_id[:40]!r}")
    return Post(read.post_id, read.city, read.image, _blank_is_none(read.caption), read.created_at)


def _decode_headers(headers: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    """The headers by name; of a repeated name the last one wins."""
    wanted = {name: value for name, value in headers if name in ("city", "caption", "content-type", "created-at")}
    for name, value in wanted.items():
        if value is None:
            raise BadRecord(f"header {name} is null")
    # Only a caption may be imprecise: it is text to look at; the others are data.
    decoded = {"caption": wanted.pop("caption").decode("utf-8", "replace")} if "caption" in wanted else {}
    for name, value in wanted.items():
        try:
            decoded[name] = value.decode("utf-8")
        except UnicodeDecodeError:
            raise BadRecord(f"header {name} is not UTF-8") from None
    return decoded


def _blank_is_none(caption: str | None) -> str | None:
    return caption if caption is not None and caption.strip() else None


def _not_blank(post_id: str) -> str:
    if not post_id.strip():
        raise ValueError("post_id is blank")
    return post_id


def _parse_json_time(value: object) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError("must be an ISO 8601 text")
    try:
        return parse_time(value)
    except ValueError:
        raise ValueError(f"not an ISO 8601 time: {value[:40]!r}") from None


def _decode_base64(value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueError("must be base64 text")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"not base64: {error}") from None


_SIGNATURES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
)


def _content_type(picture: bytes) -> str | None:
    """A hint for readers of the topic; the bytes decide what a picture is."""
    if picture[:4] == b"RIFF" and picture[8:12] == b"WEBP":
        return "image/webp"
    return next((name for signature, name in _SIGNATURES if picture.startswith(signature)), None)
