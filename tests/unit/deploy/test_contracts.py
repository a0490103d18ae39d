"""The committed contracts against the code, the golden records and AsyncAPI's own schema."""

import base64
import copy
import json
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
import yaml

from consumer.dead_letter import REASONS, DeadLetter, to_record
from consumer.labeled_post import LabeledPost
from deploy.contracts import schemas
from deploy.contracts.compatibility import changes
from deploy.contracts.schemas import CONTRACTS, FOLDER, Contract, Schema, problem_with, text_of, write
from producer.base.errors import CommandError
from producer.base.settings import TopicSettings
from producer.post import BadRecord, Post
from tests.labels import golden, labeled, labeled_value
from tests.tools import require

BY_NAME = {contract.name: contract for contract in CONTRACTS}
LABELED, ENCODED, POST, HEADERS = (
    BY_NAME[name] for name in ("labeled-post", "post-vectors", "post", "dead-letter-headers")
)
ASYNCAPI = yaml.safe_load((FOLDER / "asyncapi.yml").read_text("utf-8"))
SPECS = "@asyncapi/specs@6.11.1"


def committed(contract: Contract) -> Schema:
    found: Schema = json.loads(contract.file.read_text("utf-8"))
    return found


def is_valid(contract: Contract, value: Any) -> bool:
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    return bool(jsonschema.Draft202012Validator(committed(contract), format_checker=checker).is_valid(value))


def named(headers: list[tuple[str, bytes]]) -> dict[str, str]:
    return {name: value.decode() for name, value in headers}


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)
def test_the_committed_schema_is_the_code_s(contract: Contract) -> None:
    generated = contract.schema()

    assert problem_with(contract, committed(contract), generated) is None
    assert contract.file.read_text("utf-8") == text_of(generated), "python -m deploy.contracts writes it again"


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)
def test_a_schema_is_of_2020_12_and_names_its_version(contract: Contract) -> None:
    schema = committed(contract)

    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:placestream:{contract.name}:{schema['version']}"
    assert schema.get("additionalProperties") is None, "fields are only ever added"


@pytest.mark.parametrize(("contract", "record"), [(LABELED, "labeled_post"), (ENCODED, "encoded_post")])
def test_the_golden_output_is_one_and_has_every_field(contract: Contract, record: str) -> None:
    value = golden(record)["value"]

    assert is_valid(contract, value)
    assert set(value) == set(committed(contract)["properties"])
    of_before = {"language", "broader"} if contract is LABELED else set()
    assert set(value) - set(committed(contract)["required"]) == of_before, "records of before it are read as well"


@pytest.mark.parametrize(
    "changed",
    [
        {"post_id": 1480879485913200243},
        {"place": 7},
        {"city": None},
        {"sentiment": 1.5},
        {"created_at": 1490754613},
        {"labeled_at": ...},
        {"decided_by": "chance"},
        {"top": [["bridge"]]},
        {"image": None},
        {"source": {"topic": "posts", "partition": 3}},
    ],
    ids=str,
)
def test_a_labelled_post_that_is_none_is_refused(changed: dict[str, Any]) -> None:
    assert not is_valid(LABELED, labeled_value(**changed))


def test_what_the_code_writes_is_valid() -> None:
    part = {"place": "coast", "confidence": 0.5, "top": [["coast", 0.5]]}
    for post in (labeled(), labeled(place=None, sentiment=None, created_at=None, text=part)):
        assert is_valid(LABELED, json.loads(post.to_value()))


def test_the_golden_headers_of_dead_letters_are_valid_and_all_there_are() -> None:
    seen: set[str] = set()
    for each in golden("dead_letter").values():
        headers = dict(each["headers"])
        assert is_valid(HEADERS, headers)
        seen |= headers.keys() - {"city", "caption", "x-trace"}
    assert seen == set(committed(HEADERS)["properties"])


@pytest.mark.parametrize("reason", REASONS)
def test_headers_of_every_reason_are_valid(reason: str) -> None:
    record = SimpleNamespace(topic="posts", partition=3, offset=17, key=b"1", value=b"?", headers=[])

    _, _, headers = to_record(record, DeadLetter(reason, "Broken", "broken"), "placestream")

    assert is_valid(HEADERS, named(headers))
    assert not is_valid(HEADERS, named(headers) | {"placestream-reason": "bad luck"})


IMAGE = base64.b64encode(b"picture").decode()


@pytest.mark.parametrize(
    ("value", "good"),
    [
        (golden("post_json")["value"], True),
        ({"post_id": "1", "city": "são paulo", "image": IMAGE}, True),
        ({"post_id": "1", "city": "x", "image": IMAGE, "caption": None, "created_at": None, "more": 1}, True),
        ({"post_id": "1", "city": "x", "image": IMAGE, "created_at": "2017-03-29T02:30:13"}, True),
        ({"post_id": 1, "city": "x", "image": IMAGE}, True),
        ({"post_id": 2**53 - 1, "city": "x", "image": IMAGE}, True),
        ({"post_id": 2**53, "city": "x", "image": IMAGE}, False),
        ({"post_id": -1, "city": "x", "image": IMAGE}, False),
        ({"post_id": " ", "city": "x", "image": IMAGE}, False),
        ({"post_id": "1", "city": "", "image": IMAGE}, False),
        ({"post_id": "1", "city": "x" * 101, "image": IMAGE}, False),
        ({"post_id": "1", "city": "new\nyork", "image": IMAGE}, False),
        ({"post_id": "1", "image": IMAGE}, False),
        ({"post_id": "1", "city": "x", "image": ""}, False),
        ({"post_id": "1", "city": "x"}, False),
        ({"post_id": "1", "city": "x", "image": IMAGE, "caption": 7}, False),
        ({"post_id": "1", "city": "x", "image": IMAGE, "created_at": 1490754613}, True),
        ({"post_id": "1", "city": "x", "image": IMAGE, "created_at": 149075461}, False),
    ],
    ids=str,
)
def test_the_schema_of_a_post_and_its_reader_agree(value: Any, good: bool) -> None:
    def is_read() -> bool:
        try:
            Post.from_record(None, json.dumps(value).encode(), [])
        except BadRecord:
            return False
        return True

    assert is_valid(POST, value) == is_read() == good


def change(schema: Schema, edit: Callable[[Schema], Any]) -> Schema:
    changed = copy.deepcopy(schema)
    edit(changed)
    return changed


def remove(name: str) -> Callable[[Schema], None]:
    def edit(schema: Schema) -> None:
        del schema["properties"][name]
        if name in schema["required"]:
            schema["required"].remove(name)

    return edit


def put(name: str, **keywords: Any) -> Callable[[Schema], None]:
    return lambda schema: schema["properties"].update({name: keywords})


def required(*names: str) -> Callable[[Schema], None]:
    return lambda schema: schema.update({"required": list(names)})


NULLABLE = [{"type": "string"}, {"type": "null"}]
ALL = committed(LABELED)["required"]
MUST = committed(POST)["required"]


@pytest.mark.parametrize(
    ("contract", "edit", "where", "breaking"),
    [
        # what others read
        (LABELED, remove("city"), "city", True),
        (LABELED, put("city", type="integer"), "city", True),
        (LABELED, put("city", anyOf=[{"type": "string"}, {"type": "null"}]), "city", True),
        (LABELED, put("confidence", type="integer"), "confidence", False),
        (LABELED, put("place", type="string"), "place", False),
        (LABELED, put("mood", type="string"), "mood", False),
        (LABELED, required(*ALL, "mood"), None, False),
        (LABELED, required(*ALL[1:]), "post_id", True),
        (LABELED, put("decided_by", enum=["image", "ensemble", "text"], type="string"), "decided_by", True),
        (LABELED, put("decided_by", enum=["image"], type="string"), "decided_by", False),
        (LABELED, put("decided_by", type="string"), "decided_by", True),
        (LABELED, put("city", type="string", maxLength=9), "city", True),
        (LABELED, lambda s: s["$defs"]["PartRecord"]["properties"].pop("top"), "image.top", True),
        (
            LABELED,
            lambda s: s["$defs"]["SourceRecord"]["properties"]["offset"].update(type="string"),
            "source.offset",
            True,
        ),
        (LABELED, lambda s: s["properties"]["top"]["items"]["prefixItems"].pop(), "top[]", True),
        (LABELED, lambda s: s["properties"]["top"]["items"]["prefixItems"][1].update(type="string"), "top[][1]", True),
        (LABELED, lambda s: s["properties"]["city"].update(description="other words"), None, False),
        # what others write
        (POST, remove("caption"), "caption", True),
        (POST, put("created_at", type="string"), "created_at", True),
        (POST, put("caption", anyOf=[*NULLABLE, {"type": "integer"}]), "caption", False),
        (POST, put("mood", type="string"), "mood", False),
        (POST, required(*MUST, "caption"), "caption", True),
        (POST, required(*MUST[1:]), MUST[0], False),
        (POST, lambda s: (put("mood", type="string")(s), required(*MUST, "mood")(s)), "mood", True),
        (POST, lambda s: s["properties"]["city"].update(maxLength=50), "city", True),
    ],
)
def test_what_breaks_others(
    contract: Contract, edit: Callable[[Schema], Any], where: str | None, breaking: bool
) -> None:
    found = changes(committed(contract), change(committed(contract), edit), others_read=contract.others_read)

    assert {each.where for each in found} >= ({where} if where else set())
    assert bool(found) == bool(where)
    assert any(each.breaking for each in found) == breaking


@pytest.mark.parametrize(
    ("edit", "version", "says"),
    [
        (remove("city"), "1.2", "this breaks others: city was removed"),
        (remove("city"), "1.3", "this breaks others"),
        (remove("city"), "2.0", None),
        (put("mood", type="string"), "1.2", "new: mood is new"),
        (put("mood", type="string"), "1.3", None),
        (lambda schema: schema.update(description="other words"), "1.2", None),
    ],
)
def test_a_change_needs_a_version_of_its_own(edit: Callable[[Schema], Any], version: str, says: str | None) -> None:
    problem = problem_with(LABELED, committed(LABELED), change(committed(LABELED), edit) | {"version": version})

    assert (says in problem) if says and problem else problem is says


def test_a_breaking_change_is_not_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(schemas, "FOLDER", tmp_path)
    write()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(LabeledPost, "model_json_schema", lambda **_: {"type": "object", "properties": {}})

    with pytest.raises(CommandError, match="labeled-post: this breaks others"):
        write()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from ([node["$ref"]] if "$ref" in node else [])
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from references(each)


def test_asyncapi_refers_to_what_is_there() -> None:
    files = {name for name in references(ASYNCAPI) if not name.startswith("#")}

    assert files == {f"./{contract.file.name}" for contract in CONTRACTS}
    for name in references(ASYNCAPI):
        found = ASYNCAPI
        for part in name.removeprefix("#/").split("/") if name.startswith("#") else ():
            found = found[part]


def test_asyncapi_has_the_topics_and_the_golden_headers() -> None:
    names = {TopicSettings.model_fields[f"{which}_topic"].default for which in ("input", "output", "dead_letter")}
    names.add("post-vectors")
    messages = ASYNCAPI["components"]["messages"]

    assert set(ASYNCAPI["channels"]) == names
    for message, record in (
        ("labeledPost", "labeled_post"),
        ("encodedPost", "encoded_post"),
        ("postBinary", "post_binary"),
        ("postJson", "post_json"),
    ):
        schema, headers = messages[message]["headers"], dict(golden(record)["headers"])
        assert set(headers) <= set(schema["properties"])
        assert set(schema.get("required", ())) <= set(headers)
        inline = schema | {"properties": schema["properties"] | {"traceparent": {"type": "string"}}}
        jsonschema.validate(headers, inline)


@pytest.fixture(scope="module")
def specification(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """AsyncAPI's own schema of version 3 documents."""
    npm, folder = require("npm"), tmp_path_factory.mktemp("asyncapi")
    packed = subprocess.run(
        [npm, "pack", SPECS, "--silent", "--fetch-timeout=20000", "--fetch-retries=4"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    with tarfile.open(folder / packed.stdout.split()[-1]) as archive:
        member = archive.extractfile("package/schemas/3.0.0.json")
        assert member is not None
        return json.load(member)


def test_asyncapi_is_valid(specification: Any) -> None:
    validator = jsonschema.Draft7Validator(specification)

    assert [error.message[:500] for error in validator.iter_errors(ASYNCAPI)] == []
    wrong = change(ASYNCAPI, lambda document: document["operations"]["readPosts"].update(action="look"))
    assert not validator.is_valid(wrong)
