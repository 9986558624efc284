"""A small syntax tree of Cypher and the one function that prints it.

The emitter builds queries from these nodes. Labels, relationship types and property names in them come from the
registry, variables are made by `variable_name`, and every value is a parameter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from circuitdb.backends.neo4j.schema import quoted


@dataclass(frozen=True)
class Variable:
    """A variable."""

    name: str


@dataclass(frozen=True)
class Parameter:
    """A bound value."""

    name: str


@dataclass(frozen=True)
class Constant:
    """A number, truth value or null of the compiler's own."""

    value: int | bool | None


@dataclass(frozen=True)
class Property:
    """A property of a node or relationship."""

    of: Expression
    name: str


@dataclass(frozen=True)
class Call:
    """A function of Cypher."""

    function: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True)
class Operation:
    """Operands joined by one operator, as AND, +, =, CONTAINS."""

    operator: str
    operands: tuple[Expression, ...]


@dataclass(frozen=True)
class Prefix:
    """NOT or minus."""

    operator: Literal["NOT", "-"]
    operand: Expression


@dataclass(frozen=True)
class IsNull:
    """`operand IS NULL`."""

    operand: Expression


@dataclass(frozen=True)
class Case:
    """`CASE WHEN condition THEN then ELSE otherwise END`."""

    condition: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True)
class ListOf:
    """`[a, b]`."""

    items: tuple[Expression, ...]


@dataclass(frozen=True)
class AnyOf:
    """`any(variable IN values WHERE condition)`."""

    variable: Variable
    values: Expression
    condition: Expression


@dataclass(frozen=True)
class Least:
    """The least or greatest of several numbers, by folding over them."""

    greatest: bool
    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Lookup:
    """`map[key]`."""

    map: Expression
    key: Expression


@dataclass(frozen=True)
class Subquery:
    """`EXISTS { … }`, `COUNT { … }` or `COLLECT { … }`."""

    kind: Literal["EXISTS", "COUNT", "COLLECT"]
    query: Query


Expression = (
    Variable
    | Parameter
    | Constant
    | Property
    | Call
    | Operation
    | Prefix
    | IsNull
    | Case
    | ListOf
    | AnyOf
    | Least
    | Lookup
    | Subquery
)


@dataclass(frozen=True)
class Node:
    """`(variable:Label WHERE where)`."""

    variable: str
    label: str | None = None
    where: Expression | None = None


@dataclass(frozen=True)
class Relationship:
    """`-[variable:TYPE|TYPE WHERE where]->`, or the other way round."""

    variable: str
    types: tuple[str, ...]
    where: Expression | None = None
    forwards: bool = True


@dataclass(frozen=True)
class Path:
    """Nodes with relationships between them, one fewer."""

    nodes: tuple[Node, ...]
    relationships: tuple[Relationship, ...]


@dataclass(frozen=True)
class Match:
    """`MATCH paths WHERE where`."""

    paths: tuple[Path, ...]
    where: Expression | None = None


@dataclass(frozen=True)
class Column:
    """`value AS name`."""

    value: Expression
    name: str


@dataclass(frozen=True)
class Order:
    """One key of ORDER BY."""

    value: Expression
    descending: bool = False


@dataclass(frozen=True)
class Projection:
    """`WITH` or `RETURN` with columns, order and limit; for `WITH` also all columns so far and a condition."""

    keyword: Literal["WITH", "RETURN"]
    columns: tuple[Column, ...]
    distinct: bool = False
    order: tuple[Order, ...] = ()
    limit: Expression | None = None
    where: Expression | None = None
    everything: bool = False


@dataclass(frozen=True)
class CallSubquery:
    """`CALL (imports) { … }`."""

    imports: tuple[str, ...]
    query: Query


@dataclass(frozen=True)
class Query:
    """Clauses in order."""

    clauses: tuple[Match | Projection | CallSubquery, ...]


FOLDING = ("best", "value")
"""The variables of a `Least`, which no other variable may be called."""


def conjunction(conditions: Iterable[Expression]) -> Expression | None:
    """All of the conditions, or None where there are none."""
    several = tuple(conditions)
    if len(several) < 2:
        return several[0] if several else None
    return Operation("AND", several)


def variable_name(text: str, taken: set[str], start: str = "x") -> str:
    """A new variable that reads like a name of the pattern; whatever is no letter or digit becomes an underscore."""
    plain = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")[:40]
    if not re.match(r"[A-Za-z]", plain):
        plain = f"{start}{plain}"
    name, number = plain, 1
    while name.lower() in taken:
        number += 1
        name = f"{plain}_{number}"
    taken.add(name.lower())
    return name


def render(query: Query, indent: int = 0) -> str:
    """The text of a query, a clause a line."""
    return "\n".join(" " * indent + line for clause in query.clauses for line in _clause(clause, indent))


def _clause(clause: Match | Projection | CallSubquery, indent: int) -> list[str]:
    match clause:
        case Match(paths=paths, where=where):
            lines = ["MATCH " + ",\n      ".join(map(_path, paths))]
            if where is not None:
                lines.append(f"WHERE {_conjuncts(where)}")
            return [part for line in lines for part in line.split("\n")]
        case CallSubquery(imports=imports, query=query):
            return [f"CALL ({', '.join(map(_name, imports))}) {{", *render(query, 2).split("\n"), "}"]
        case Projection():
            columns = ["*"] if clause.everything else []
            columns += [
                _name(c.name) if c.value == Variable(c.name) else f"{_text(c.value)} AS {_name(c.name)}"
                for c in clause.columns
            ]
            lines = [f"{clause.keyword} {'DISTINCT ' if clause.distinct else ''}{', '.join(columns)}"]
            if clause.order:
                keys = (_text(o.value) + (" DESC" if o.descending else "") for o in clause.order)
                lines.append("ORDER BY " + ", ".join(keys))
            if clause.limit is not None:
                lines.append(f"LIMIT {_text(clause.limit)}")
            if clause.where is not None:
                lines += f"WHERE {_conjuncts(clause.where)}".split("\n")
            return lines


def _conjuncts(where: Expression) -> str:
    if isinstance(where, Operation) and where.operator == "AND":
        return "\n  AND ".join(map(_operand, where.operands))
    return _text(where)


def _path(path: Path) -> str:
    text = _node(path.nodes[0])
    for relationship, node in zip(path.relationships, path.nodes[1:], strict=True):
        where = "" if relationship.where is None else f" WHERE {_text(relationship.where)}"
        inner = f"[{_name(relationship.variable)}:{'|'.join(relationship.types)}{where}]"
        text += f"-{inner}->{_node(node)}" if relationship.forwards else f"<-{inner}-{_node(node)}"
    return text


def _node(node: Node) -> str:
    label = "" if node.label is None else f":{node.label}"
    where = "" if node.where is None else f" WHERE {_text(node.where)}"
    return f"({_name(node.variable)}{label}{where})"


_RESERVED = re.compile(
    "all|and|any|as|asc|by|call|case|contains|count|create|delete|desc|distinct|else|end|ends|exists|false|foreach|group|"
    "in|index|is|limit|match|merge|no|none|not|null|on|or|order|remove|return|set|single|skip|starts|then|true|union|"
    "unwind|use|using|when|where|with|xor|yield",
    re.IGNORECASE,
)


def _name(name: str) -> str:
    return quoted(name) if _RESERVED.fullmatch(name) else name


def _operand(expression: Expression) -> str:
    compound = Operation | Prefix | IsNull
    text = _text(expression)
    return f"({text})" if isinstance(expression, compound) and not _is_comparison(expression) else text


def _is_comparison(expression: Expression) -> bool:
    return isinstance(expression, Operation) and expression.operator in ("=", "<>", "<", "<=", ">", ">=")


def _text(expression: Expression) -> str:
    match expression:
        case Variable(name=name):
            return _name(name)
        case Parameter(name=name):
            return f"${name}"
        case Constant(value=constant):
            return "null" if constant is None else str(constant).lower()
        case Property(of=of, name=name):
            return f"{_text(of)}.{_name(name)}"
        case Call(function=function, arguments=arguments):
            return f"{function}({', '.join(map(_text, arguments))})"
        case Operation(operator=operator, operands=operands):
            join = f" {operator} "
            if operator in ("AND", "OR"):
                return join.join(map(_operand, operands))
            return join.join(
                f"({_text(o)})" if isinstance(o, Operation | Prefix | IsNull) else _text(o) for o in operands
            )
        case Prefix(operator=operator, operand=operand):
            return f"NOT ({_text(operand)})" if operator == "NOT" else f"-({_text(operand)})"
        case IsNull(operand=operand):
            return f"{_operand(operand)} IS NULL"
        case Case(condition=condition, then=then, otherwise=otherwise):
            return f"CASE WHEN {_text(condition)} THEN {_text(then)} ELSE {_text(otherwise)} END"
        case ListOf(items=items):
            return f"[{', '.join(map(_text, items))}]"
        case AnyOf(variable=variable, values=values, condition=condition):
            return f"any({variable.name} IN {_text(values)} WHERE {_text(condition)})"
        case Least(greatest=greatest, items=items):
            less = ">" if greatest else "<"
            rest = ", ".join(map(_text, items[1:]))
            best, value = FOLDING
            choice = f"CASE WHEN {value} {less} {best} THEN {value} ELSE {best} END"
            return f"reduce({best} = {_text(items[0])}, {value} IN [{rest}] | {choice})"
        case Lookup(map=of, key=key):
            return f"{_text(of)}[{_text(key)}]"
        case Subquery(kind=kind, query=query):
            return f"{kind} {{ {' '.join(line.strip() for line in render(query).splitlines())} }}"
