"""What changed between two versions of a schema, and whether it breaks others: readers of what we write, or writers.

Of what others read, less is broken: a field that goes, that may be missing or has values which it had not before. Of
what others write, more is: a field that must be there, values that are no longer taken. A change that this file knows
nothing of is breaking, too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]

ANNOTATIONS = {"title", "description", "default", "examples", "version", "$id", "$schema", "$defs", "contentEncoding"}
"""What says nothing of a value's form. (Base64 is noted here as well: it never changes without its type.)"""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Attributes:
        where: the field, as ``image.place``.
        what: what happened to it.
        breaking: whether others break.
    """

    where: str
    what: str
    breaking: bool


def changes(old: Schema, new: Schema, *, others_read: bool) -> list[Change]:
    """Every difference that matters to others, in the order of the fields.

    Args:
        old: a JSON Schema as pydantic writes it: references into ``$defs``, and `anyOf` for alternatives.
        new: the same, later.
        others_read: whether others read what it describes, or write it.
    """
    return list(_Comparison(old.get("$defs", {}), new.get("$defs", {}), others_read).of(old, new, ""))


@dataclass(frozen=True, slots=True)
class _Comparison:
    old_definitions: Schema
    new_definitions: Schema
    others_read: bool

    def of(self, old: Schema, new: Schema, where: str) -> Iterator[Change]:
        """The differences of two schemas at one place."""
        before, now = _by_type(old, self.old_definitions), _by_type(new, self.new_definitions)
        if before.keys() != now.keys():
            # A whole number is a number: with it alone one may read where numbers were, not write.
            wide = {**before, "integer": {}} if "number" in before else before
            taken = {**now, "integer": {}} if "number" in now else now
            breaking = now.keys() - wide.keys() if self.others_read else before.keys() - taken.keys()
            yield Change(where or "the record", f"was {_or(before)}, is {_or(now)}", bool(breaking))
        for kind in before.keys() & now.keys():
            yield from self._of_one_type(before[kind], now[kind], where)

    def _of_one_type(self, old: Schema, new: Schema, where: str) -> Iterator[Change]:
        yield from self._fields(old, new, where)
        if "enum" in old or "enum" in new:
            yield from self._values(old.get("enum"), new.get("enum"), where)
        for name in ("items", "prefixItems"):
            before, now = (_listed(schema.get(name)) for schema in (old, new))
            if len(before) != len(now):
                yield Change(where, f"has {len(now)} {name}, had {len(before)}", True)
            for number, (one, other) in enumerate(zip(before, now, strict=False)):
                yield from self.of(one, other, f"{where}[{number if name == 'prefixItems' else ''}]")
        known = ANNOTATIONS | {"type", "properties", "required", "enum", "items", "prefixItems"}
        for name in sorted((old.keys() | new.keys()) - known):
            if old.get(name) != new.get(name):
                yield Change(where, f"{name} was {old.get(name)}, is {new.get(name)}", True)

    def _fields(self, old: Schema, new: Schema, where: str) -> Iterator[Change]:
        before, now = old.get("properties", {}), new.get("properties", {})
        was_required, is_required = set(old.get("required", ())), set(new.get("required", ()))
        for name in before | now:
            place = f"{where}.{name}" if where else name
            if name not in now:
                yield Change(place, "was removed", True)
            elif name not in before:
                yield Change(place, "is new", not self.others_read and name in is_required)
            else:
                if (name in was_required) != (name in is_required):
                    required = name in is_required
                    yield Change(
                        place, "must now be there" if required else "may now be missing", required != self.others_read
                    )
                yield from self.of(before[name], now[name], place)

    def _values(self, old: list[Any] | None, new: list[Any] | None, where: str) -> Iterator[Change]:
        if old != new:
            fewer = new is not None and (old is None or set(new) <= set(old))
            more = old is not None and (new is None or set(old) <= set(new))
            yield Change(where, f"had the values {old}, has {new}", not (fewer if self.others_read else more))


def _by_type(schema: Schema, definitions: Schema) -> dict[str, Schema]:
    """A schema's alternatives by their type; one without a type is its own kind."""
    if "$ref" in schema:
        return _by_type(definitions[schema["$ref"].removeprefix("#/$defs/")], definitions)
    if "anyOf" in schema:
        alternatives = [item for each in schema["anyOf"] for item in _by_type(each, definitions).items()]
        found = dict(alternatives)
        if len(found) < len(alternatives):  # two objects, for example: only the same as a whole is the same
            return {"one of several": {"anyOf": schema["anyOf"]}}
        return found
    return {schema.get("type", "anything"): schema}


def _or(kinds: dict[str, Schema]) -> str:
    return " or ".join(sorted(kinds))


def _listed(schemas: Any) -> list[Schema]:
    return schemas if isinstance(schemas, list) else [] if schemas is None else [schemas]
