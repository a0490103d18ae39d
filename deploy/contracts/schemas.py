"""JSON Schemas (2020-12) of what others write and read, generated from the models that the code itself uses.

The generated files are committed beside this one, for registries; `python -m deploy.contracts` rewrites them, and
refuses what would break a reader or writer under the same version.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from consumer.dead_letter import ATTEMPTS, LEFT_OUT, PREFIX, REASON, REASONS, SOURCE, STAGES
from consumer.encoded_post import EncodedPost
from consumer.labeled_post import LabeledPost
from consumer.origin import SOURCE_TOPIC_ID
from deploy.contracts.compatibility import Change, changes
from producer.base.errors import CommandError
from producer.city import MAX_CITY
from producer.post import _JsonPost
from producer.serialised import MOST_EXACT

FOLDER = Path(__file__).parent
Schema = dict[str, Any]
NUMBER = r"^\d+$"


def _header(name: str, description: str, **further: Any) -> Any:
    return Field(validation_alias=name, description=description, **further)


def _left_out(attribute: str, description: str, pattern: str = NUMBER) -> Any:
    return _header(LEFT_OUT[attribute], description, pattern=pattern, default=None)


class DeadLetterHeaders(BaseModel):
    """The headers that `label` adds to those of the post: UTF-8 text, the last of a repeated name wins.

    The key and the value are the post's, byte for byte, unless a header says what of the post is left out.
    """

    topic: str = _header(f"{PREFIX}topic", "topic of the post's record")
    partition: str = _header(f"{PREFIX}partition", "its partition", pattern=NUMBER)
    offset: str = _header(f"{PREFIX}offset", "its offset", pattern=NUMBER)
    stage: str = _header(f"{PREFIX}stage", "the stage that gave up", json_schema_extra={"enum": list(STAGES)})
    error: str = _header(f"{PREFIX}exception.class.name", "class name of the error")
    message: str = _header(f"{PREFIX}exception.message", "one line for a person, at most 1 KB")
    reason: str = _header(REASON, "what was wrong", json_schema_extra={"enum": list(REASONS)})
    source: str = _header(SOURCE, "group and post: /placestream/<group>/<topic>/<partition>/<offset>")
    attempts: str = _header(
        ATTEMPTS, "how often it has failed; only of a post that was replayed", pattern=NUMBER, default="1"
    )
    source_topic_id: str | None = _header(SOURCE_TOPIC_ID, "id of the topic in placestream-source", default=None)
    value_bytes: str | None = _left_out(
        "value_bytes", "the value is left out; its size, or that of the whole record where this cannot be read"
    )
    value_sha256: str | None = _left_out("value_sha256", "SHA-256 of the same", pattern="^[0-9a-f]{64}$")
    key_bytes: str | None = _left_out("key_bytes", "the key is sha256:<its SHA-256>; its size")
    header_count: str | None = _left_out("header_count", "the post's own headers are left out; how many")
    header_bytes: str | None = _left_out("header_bytes", "their size")
    last_offset: str | None = _left_out(
        "last_offset", "it stands for all records from its own offset to this one, which cannot be told apart"
    )


@dataclass(frozen=True, slots=True)
class Contract:
    """One schema.

    Attributes:
        name: of the file and in the ``$id``.
        version: major.minor; more in it is a new minor, what breaks others a new major version.
        title: what it is called.
        model: what it is generated from.
        others_read: whether Placestream writes and others read it, or the other way round.
    """

    name: str
    version: str
    title: str
    model: type[BaseModel]
    others_read: bool

    @property
    def file(self) -> Path:
        """The committed schema."""
        return FOLDER / f"{self.name}.schema.json"

    def schema(self) -> Schema:
        """The schema as the code is now."""
        head = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"urn:placestream:{self.name}:{self.version}",
            "version": self.version,
        }
        body = self.model.model_json_schema(schema_generator=_Generator, mode="validation")
        return head | body | {"title": self.title}


CONTRACTS = (
    Contract("labeled-post", "1.2", "Labelled post", LabeledPost, others_read=True),
    Contract("post-vectors", "1.0", "Encoded post", EncodedPost, others_read=True),
    Contract("post", "1.1", "Post, JSON form", _JsonPost, others_read=False),
    Contract("dead-letter-headers", "3.0", "Headers of a dead letter", DeadLetterHeaders, others_read=True),
)


class _Generator(GenerateJsonSchema):
    """Pydantic's, with what validators of ours demand beyond types."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never: the names are titles enough."""
        return False

    def bytes_schema(self, schema: core_schema.BytesSchema) -> JsonSchemaValue:
        """Bytes are base64 in our JSON."""
        return {"type": "string", "contentEncoding": "base64", "minLength": 1}

    def datetime_schema(self, schema: core_schema.DatetimeSchema) -> JsonSchemaValue:
        """What may come without an offset, which then is UTC, is not RFC 3339's ``date-time``."""
        if schema.get("tz_constraint") == "aware":
            return super().datetime_schema(schema)
        return {"type": "string", "description": "ISO 8601; without an offset it is UTC"}

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """The docstring's attributes are the properties' descriptions; a post's names may not be blank."""
        generated = super().model_schema(schema)
        summary, _, attributes = generated.get("description", "").partition("\n\nAttributes:\n")
        generated["description"] = summary
        for name, description in re.findall(r"^    (\w+): (.+(?:\n        .+)*)", attributes, re.MULTILINE):
            generated["properties"][name]["description"] = " ".join(description.split())
        if schema["cls"] is _JsonPost:
            generated["properties"]["post_id"] = {
                "anyOf": [
                    {"type": "string", "pattern": r"\S"},
                    {"type": "integer", "minimum": 0, "maximum": MOST_EXACT},
                ]
            }
            generated["properties"]["created_at"]["anyOf"].append(
                {"type": "number", "minimum": 10**9, "description": "since 1970: of 10 digits seconds, 13 ms, 16 µs"}
            )
            generated["properties"]["city"] |= {
                "pattern": r"\S",
                "maxLength": MAX_CITY,
                "not": {"pattern": r"[\u0000-\u001f\u007f-\u009f]"},
            }
        return generated


def text_of(schema: Schema) -> str:
    """The text of a schema's file."""
    return json.dumps(schema, ensure_ascii=False, indent=2) + "\n"


def problem_with(contract: Contract, committed: Schema, generated: Schema) -> str | None:
    """Why the committed schema may not be replaced by the generated one under its version; None: it may.

    Args:
        contract: names it, and says who reads.
        committed: the schema of the last version.
        generated: the schema as the code is now.
    """
    found = changes(committed, generated, others_read=contract.others_read)
    before, now = (tuple(map(int, schema["version"].split("."))) for schema in (committed, generated))
    breaking = [change for change in found if change.breaking]
    if breaking and now[0] <= before[0]:
        return (
            f"{contract.name}: this breaks others: {_listed(breaking)}. Take it back, or make it a new major version "
            "in deploy/contracts/schemas.py (and for a labelled post a new ce_type)"
        )
    if found and now <= before:
        return f"{contract.name}: new: {_listed(found)}. Make it a new minor version in deploy/contracts/schemas.py"
    return None


def _listed(found: list[Change]) -> str:
    return "; ".join(f"{change.where} {change.what}" for change in found)


def write() -> list[str]:
    """Rewrite the schemas' files.

    Returns:
        One line per file.

    Raises:
        CommandError: a schema may not be replaced under its version; nothing is written then.
    """
    generated = {contract: contract.schema() for contract in CONTRACTS}
    for contract, schema in generated.items():
        if contract.file.exists() and (
            problem := problem_with(contract, json.loads(contract.file.read_text("utf-8")), schema)
        ):
            raise CommandError(problem)
    for contract, schema in generated.items():
        contract.file.write_text(text_of(schema), encoding="utf-8")
    return [f"{contract.file.name}: version {contract.version}" for contract in CONTRACTS]
