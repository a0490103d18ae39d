"""What a post is, and how it travels as a Kafka record: the contract of the input topic, in both of its forms."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from producer.base.errors import Wrong
from producer.city import city_name
from producer.serialised import (
    LONGEST_NAME,
    fields_of,
    id_of,
    is_json,
    is_key_of,
    one_each,
    picture_of,
    text_of,
    unquoted,
    what_else,
    wrapped_id,
)

Headers = Sequence[tuple[str, bytes]]

HEADERS = ("city", "caption", "content-type", "created-at")
SPRING_TYPE = "contentType"
"""Spring Cloud Stream's, which says application/json of whatever is sent."""
FIELDS = ("post_id", "city", "caption", "created_at", "image")
"""Of the JSON form."""

NUMBER = re.compile(r"(\d{9,})(?:[.,](\d+))?")
A_SECOND = {10: 1, 13: 10**3, 16: 10**6, 19: 10**9}
"""By the digits of a number since 1970, how many units a second has: all of 2001 to 2286, and no two alike."""

NO_TIME = "is no ISO 8601 time; write it as 2017-06-06T20:54:00Z"
SHOWN = 40
"""Characters of what a sender wrote that an error repeats."""


class BadRecord(Wrong):
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

        The value alone tells the form: a JSON object begins as no picture does, whatever the content type says.

        Raises:
            BadRecord: with one line that says precisely what is wrong.
        """
        if not value:
            missing = "null" if value is None else "empty"
            raise BadRecord(f"the value is {missing}; it must be the picture's bytes or the JSON form")
        try:
            return _from_json(key, value) if is_json(value) else _from_binary(key, value, headers or ())
        except Wrong as wrong:
            raise BadRecord(wrong.kind, wrong.detail) from None


def parse_time(text: str) -> datetime:
    """An ISO 8601 instant, without an offset in UTC; or a number of (milli-, micro-, nano-) seconds since 1970.

    Raises:
        ValueError: the text is no instant.
    """
    text = text.strip()
    if number := NUMBER.fullmatch(text):  # Python reads a number of milliseconds as a day of the year 1701
        return _since_1970(*number.groups("0"))
    moment = datetime.fromisoformat(text)
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:  # the first hours of year 1, the last of 9999
        raise ValueError(str(error)) from None


def format_time(moment: datetime) -> str:
    """The instant in UTC with milliseconds: ``2017-03-29T02:30:13.147Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _since_1970(units: str, fraction: str) -> datetime:
    if (a_second := A_SECOND.get(len(units))) is None:
        raise ValueError("a number of no unit")
    microseconds = (int(units) * 10**6 + int(fraction[:6].ljust(6, "0"))) // a_second
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)


def _from_binary(key: bytes | None, value: bytes, headers: Headers) -> Post:
    named = _read_headers(headers)
    content_type = named.get("content-type", "")
    if "json" in content_type.lower():
        raise what_else(value, headers) or Wrong(
            "the content type is JSON, and the value is no JSON object; for a picture's bytes leave it out",
            f"it begins with {value[:8]!r}",
        )
    if "city" not in named:
        others = [name[:LONGEST_NAME] for name, _ in headers[:5] if name not in HEADERS]
        there = f"there are {', '.join(map(repr, others))}" if others else None
        raise what_else(value, headers) or Wrong("header city is missing", there)
    post_id, city = _post_id(key), city_name(unquoted(named["city"]))
    created_at = _time("header created-at", unquoted(named["created-at"])) if "created-at" in named else None
    return Post(post_id, city, value, _blank_is_none(named.get("caption")), created_at)


def _post_id(key: bytes | None) -> str:
    if key is None:
        raise Wrong("the key is missing; it must be the post_id")
    if wrapped := wrapped_id(key):
        raise Wrong(f"the key is {wrapped[0]}; it must be the post_id as plain text", repr(key[:SHOWN]))
    try:
        return _not_blank(key.decode())
    except UnicodeDecodeError:
        raise Wrong("the key is not UTF-8; it must be the post_id as plain text", repr(key[:SHOWN])) from None


def _read_headers(headers: Headers) -> dict[str, str]:
    """The contract's headers; of a repeated name the last one wins."""
    found: dict[str, bytes] = dict(headers)
    found.pop(SPRING_TYPE, None)
    return {name: _header(name, value) for name, value in one_each("header", found, HEADERS).items()}


def _header(name: str, value: bytes | None) -> str:
    if value is None:
        raise Wrong(f"header {name} is null")
    try:
        # Only a caption may be imprecise: it is text to look at; the others are data.
        return text_of(value, "replace" if name == "caption" else "strict")
    except UnicodeDecodeError:
        raise Wrong(f"header {name} is not UTF-8", repr(value[:SHOWN])) from None


class _JsonPost(BaseModel):
    """The JSON form, as written by clients that cannot set headers."""

    model_config = ConfigDict(strict=True, extra="ignore")

    post_id: Annotated[str, BeforeValidator(id_of), AfterValidator(lambda text: _not_blank(text))]
    city: Annotated[str, AfterValidator(city_name)]
    caption: str | None = None
    created_at: Annotated[datetime | None, BeforeValidator(lambda value: _json_time(value))] = None
    image: Annotated[bytes, BeforeValidator(picture_of)] = Field(min_length=1)


def _from_json(key: bytes | None, value: bytes) -> Post:
    fields = fields_of(value, FIELDS)
    try:
        read = _JsonPost.model_validate(fields)
    except ValidationError as error:
        raise _named(error) from None
    if key is not None and not is_key_of(key, read.post_id):
        raise Wrong("the key differs from post_id", f"{key[:SHOWN]!r} and {read.post_id[:SHOWN]!r}")
    return Post(read.post_id, read.city, read.image, _blank_is_none(read.caption), read.created_at)


def _named(error: ValidationError) -> Wrong:
    """The first of pydantic's errors, in our words."""
    first: Any = error.errors(include_url=False)[0]
    own, field = first.get("ctx", {}).get("error"), first["loc"][0]
    if isinstance(own, Wrong):
        return Wrong(f"JSON form: {own.kind}", own.detail)
    said = {"missing": "is missing", "string_type": "must be text"}.get(first["type"], first["msg"])
    return Wrong(f"JSON form: {field} {said}")


def _blank_is_none(caption: str | None) -> str | None:
    return caption if caption is not None and caption.strip() else None


def _not_blank(post_id: str) -> str:
    if not post_id.strip():
        raise Wrong("post_id is blank")
    return post_id


def _json_time(value: object) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, (str, int, float)) or isinstance(value, bool):
        raise Wrong(f"created_at {NO_TIME}")
    return _time("created_at", f"{value:f}" if isinstance(value, float) else str(value))


def _time(where: str, text: str) -> datetime:
    try:
        return parse_time(text)
    except ValueError:
        raise Wrong(f"{where} {NO_TIME}", repr(text[:SHOWN])) from None


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
