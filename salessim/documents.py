"""YAML documents that users write: read, checked against a model, and written back.

Every fault becomes one line with file, field, value and what is allowed, so that a user can mend a file
without knowing the program.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import SafeRepresenter

from salessim.errors import SalessimError, listed

__all__ = ["Part", "dump_yaml", "load_yaml", "read_text", "validated"]


class Part(BaseModel):
    """Base of everything that users write in YAML: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


M = TypeVar("M", bound=BaseModel)


def read_text(path: str | Path, *, error: type[SalessimError]) -> str:
    """Read a UTF-8 text file; the given error names the file where that fails."""
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as failure:
        reason = failure.strerror if isinstance(failure, OSError) else "it is not UTF-8 text"
        raise error(f"{path}: cannot be read ({reason})") from failure


def load_yaml(text: str, *, where: str, error: type[SalessimError]) -> object:
    """Parse YAML 1.2; duplicate keys and syntax errors are refused with the place."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe").load(text)
    except YAMLError as failure:
        mark = getattr(failure, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        problem = getattr(failure, "problem", None) or str(failure).splitlines()[0]
        raise error(f"{where}{place}: not valid YAML ({problem})") from failure


class _Quoting(SafeRepresenter):
    """Puts text with signs of YAML's own in quotes, also where only readers of YAML 1.1 need them."""


def _quoted(representer: SafeRepresenter, text: str) -> ScalarNode:
    style = '"' if set(text) & set("?:,{}[]#&*!|>'\"%@`") else None
    return representer.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Quoting.add_representer(str, _quoted)


def dump_yaml(data: object) -> str:
    """Write plain data as YAML; lists of plain values stay on one line."""
    from ruamel.yaml import YAML

    writer = YAML(typ="safe", pure=True)
    writer.Representer = _Quoting
    writer.default_flow_style = None
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # keep the order of fields
    writer.allow_unicode = True
    writer.width = 2**20  # the writer would fold keys with spaces, which nothing can read back
    buffer = io.StringIO()
    writer.dump(data, buffer)
    return buffer.getvalue()


def validated(kind: type[M], data: object, *, where: str, error: type[SalessimError]) -> M:
    """Check plain data against a model; every fault is one line with field, value and what is allowed.

    >>> class Target(Part):
    ...     share: float
    >>> validated(Target, {"share": "high"}, where="my.yaml", error=SalessimError)
    Traceback (most recent call last):
    ...
    salessim.errors.SalessimError: my.yaml: share is 'high'; input should be a valid number, unable to parse \
string as a number
    """
    if not isinstance(data, Mapping):
        fields = listed(list(kind.model_fields))
        raise error(f"{where}: expected a mapping with the fields {fields}; found {_shown(data)}")
    try:
        return kind.model_validate(data)
    except ValidationError as failure:
        lines = []
        for fault in failure.errors(include_url=False):
            line = f"{where}: {_explained(kind, fault)}"
            if line not in lines:
                lines.append(line)
        shown = lines[:10] + ([f"… and {len(lines) - 10} more"] if len(lines) > 10 else [])
        raise error("\n".join(shown)) from None


def _explained(kind: type[BaseModel], fault: Mapping[str, Any]) -> str:
    loc = [step for step in fault["loc"] if not _is_union_tag(step)]
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc).lstrip(".")
    if fault["type"] == "extra_forbidden":
        owner = _model_at(kind, loc[:-1])
        allowed = listed(list(owner.model_fields), most=20) if owner else "(see the schema)"
        return f"{path} is not a known field; allowed here: {allowed}"
    if fault["type"] == "missing":
        return f"{path} is missing; it is required"
    message = re.sub(r"^Value error, ", "", fault["msg"])
    message = message[0].lower() + message[1:]
    value = fault["input"]
    if fault["type"] == "value_error":
        return f"{path}: {message}" if path else message
    if isinstance(value, int | float) and fault["type"] == "less_than_equal" and fault["ctx"]["le"] == 1:
        message += " (a share is a fraction: write 0.65 for 65 %)"
    return f"{path} is {_shown(value)}; {message}"


def _is_union_tag(step: int | str) -> bool:
    # pydantic adds the tried member of a union to the path: 'float', 'constrained-float', 'tuple[…]'
    return isinstance(step, str) and (step in {"float", "int", "str", "constrained-float"} or "[" in step)


def _model_at(kind: type[BaseModel], loc: Sequence[int | str]) -> type[BaseModel] | None:
    """The model that a path of field names and list positions leads to."""
    current: Any = kind
    for step in loc:
        if isinstance(step, int):
            continue  # the element type was already taken with the field
        fields = getattr(current, "model_fields", {})
        field = fields.get(step)
        if field is None:
            return None
        current = _inner_model(field.annotation)
    return current if isinstance(current, type) and issubclass(current, BaseModel) else None


def _inner_model(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in {tuple, list, Union, UnionType, Annotated}:
        for inner in get_args(annotation):
            if (found := _inner_model(inner)) is not None:
                return found
    return None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
