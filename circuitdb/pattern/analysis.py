"""Plain facts about parts of a pattern that every emitter asks for: what joins units, what may be missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from circuitdb.graph import Record, property_of
from circuitdb.pattern import model as p
from circuitdb.pattern.maps import ANALOG


def components(body: p.Body) -> dict[str, str]:
    """For each unit of a body's edges and rows, one unit of the part of one model that they join it to."""
    parent: dict[str, str] = {}

    def root(unit: str) -> str:
        while parent.setdefault(unit, unit) != unit:
            unit = parent[unit]
        return unit

    joins = [(edge.source, edge.target) for edge in body.edges]
    joins += [(row.source, row.target) for row in body.rows if row.map != ANALOG]
    for source, target in joins:
        parent[root(source)] = root(target)
    for row in body.rows:
        root(row.source)
    return {unit: root(unit) for unit in list(parent)}


def is_label(value: p.Expression) -> bool:
    """Whether a value is a unit's label, which is many-valued."""
    return isinstance(value, p.UnitProperty) and value.name == "label"


def is_double(value: p.Expression) -> bool:
    """Whether a number is stored or computed as a double, so that arithmetic needs no conversion."""
    match value:
        case p.Constant() | p.Arithmetic() | p.Negative() | p.Agreement():
            return True
        case p.EdgeProperty(name=name):
            return _is_real(Record.EDGE, name)
        case p.Function(name=name):
            return name in ("min", "max", "sum", "abs")
    return False


def may_be_negative_zero(value: p.Expression) -> bool:
    """Whether a number may come out as -0.0, as no stored number is, which some stores order before 0.0."""
    match value:
        case p.Arithmetic() | p.Negative() | p.Agreement():
            return True
        case p.Function(name="min" | "max" | "sum", arguments=arguments):
            return any(map(may_be_negative_zero, arguments))
    return False


def never_missing(value: p.Expression) -> bool:
    """Whether a value is there in every match."""
    match value:
        case p.Constant() | p.UnitValue() | p.EdgeSign() | p.HowMany() | p.ListLength():
            return True
        case p.EdgeProperty(name=name):
            return _required(Record.EDGE, name)
        case p.UnitProperty(of=p.UnitValue(), name=name):
            return _required(Record.UNIT, name)
        case p.Negative(operand=operand):
            return never_missing(operand)
        case p.Arithmetic(operator="+" | "-" | "*", left=left, right=right):
            return never_missing(left) and never_missing(right)
        case p.Function(name=name, arguments=arguments):
            return bool(arguments or name in ("sum", "number")) and all(map(never_missing, arguments))
        case p.Compare() | p.Contains() | p.OneOf() | p.IsMissing() | p.And() | p.Or() | p.Not() | p.Truth():
            return True
    return False


def names_in(condition: p.Expression) -> set[str]:
    """The units, edges and rows that a condition names."""
    names: set[str] = set()
    for node in p.subexpressions(condition):
        match node:
            case p.UnitValue(unit=name) | p.ListLength(unit=name):
                names.add(name)
            case p.EdgeProperty(edge=name) | p.EdgeSign(edge=name) | p.RowProperty(row=name):
                names.add(name)
            case p.Agreement(left=left, right=right):
                names |= {left, right}
    return names


def counted_named(name: str, bodies: Sequence[p.Body]) -> p.Counted:
    """The counted block of a name in the innermost body that has one; `bodies` begin with the outermost."""
    return next(block for body in reversed(bodies) for block in body.counted if block.unit == name)


def one_by_one(conditions: Iterable[p.Expression]) -> Iterator[p.Expression]:
    """The conditions, those joined by `and` one by one."""
    for condition in conditions:
        if isinstance(condition, p.And):
            yield from one_by_one(condition.operands)
        else:
            yield condition


def _is_real(record: Record, name: str) -> bool:
    known = property_of(record, name)
    return known is not None and known.type == "real"


def _required(record: Record, name: str) -> bool:
    known = property_of(record, name)
    return known is not None and not known.optional
