"""What a mistake of grammar says: from the parser's exception to a diagnostic in the words of the language.

The parser knows the place and the terminals that would fit there. `diagnose` sums these up (a value, a statement, an
arrow), tells spellings of other languages from the motif language's own, and finds brackets and texts left open.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from lark.exceptions import UnexpectedInput, UnexpectedToken

from circuitdb.language.diagnostics import Diagnostic, Source, nearest_names
from circuitdb.language.syntax import Span

RESERVED = frozenset(
    ("and", "as", "every", "false", "for", "in", "missing", "no", "not", "or", "skip", "true", "unit", "use", "where")
)
"""Words that can never be names; the grammar's NAME says the same."""
_OTHER_WORDS = ("all", "asc", "by", "desc", "edge", "exactly", "find", "import", "limit", "motif", "order", "score")
_WORDS = (*sorted(RESERVED), *_OTHER_WORDS)

_VALUE = frozenset(("NAME", "NUMBER", "STRING", "TRUE", "FALSE", "MISSING", "MINUS", "LPAR"))
_STATEMENT = frozenset(["NAME", "EVERY", "FOR", "NO", "UNIT", "USE", "SCORE", "SKIP", "QUANTITY", "OPEN", "_SEMICOLON"])
_OPERATOR = frozenset(["PLUS", "MINUS", "TIMES", "DIVIDED", "EQUALS", "COMPARATOR", "_IN", "_AND", "_OR"])
_TEXT_PART = frozenset(("FIND", "IMPORT", "MOTIF", "DESCRIPTION", "_SEMICOLON", "$END"))
_STATEMENTS = ("a statement",)
_GROUPS: tuple[tuple[frozenset[str], frozenset[str], tuple[str, ...]], ...] = (
    (frozenset(("FIND", "IMPORT", "MOTIF")), _TEXT_PART, ("'find'", "'motif'", "'import'")),
    (frozenset(("NO", "EVERY")), _STATEMENT, _STATEMENTS),
    (frozenset(("PLUS", "_AND")), _OPERATOR, ("an operator",)),
    (frozenset(("NOT", "NUMBER")), _VALUE | {"NOT"}, ("an expression",)),
    (frozenset(("NUMBER", "TRUE")), _VALUE, ("a value",)),
)
"""Where the first terminals are accepted together, the phrases stand for all of the second."""
_TERMINALS = {
    "ARROW": "an arrow (->, +>, -|)",
    "QUANTITY": "'at least', 'at most', 'exactly'",
    "COMPARATOR": "a comparison",
    "NAME": "a name",
    "NUMBER": "a number",
    "STRING": "a text in quotes",
    "DESCRIPTION": 'a description in """',
    "_ORDER": "'order by'",
    "LPAR": "'('",
    "LSQB": "a list in square brackets, as [1, 2]",
    "COMMA": "','",
    "DOT": "'.'",
    "OPEN": "'{'",
    "CLOSE": "'}'",
    "CLOSE_LIST": "']'",
    "CLOSE_CALL": "')'",
    "EQUALS": "'='",
    "PLUS": "'+'",
    "MINUS": "'-'",
    "TIMES": "'*'",
    "DIVIDED": "'/'",
    "_SEMICOLON": "';'",
}
_LAST = ("')'", "']'", "'}'")
_CLOSING = {")": "(", "]": "[", "}": "{"}
_SIGNS = re.compile(r"[-+*/=<>!~&|%^→←⊣−≤≥≠]+")
_ARROWS = "an edge is a -> b (any sign), a +> b (excites) or a -| b (inhibits)"
_FROM_SOURCE = "an edge is written from its source to its target: b -> a"
_COMMENT = "comments begin with #"
_FOREIGN = {
    "==": "equality is a single =",
    "===": "equality is a single =",
    "=>": "the comparison is >=, an edge is ->",
    "=<": "the comparison is <=",
    "<>": "unequal is !=",
    "≤": "the comparison is <=",
    "≥": "the comparison is >=",
    "≠": "unequal is !=",
    "!": "write not before the condition",
    "&": "write and between conditions",
    "&&": "write and between conditions",
    "|": "write or between conditions",
    "||": "write or between conditions",
    "%": "numbers have no %: ten percent is 0.1",
    "^": "there are no powers: write x * x",
    "**": "there are no powers: write x * x",
    "//": _COMMENT,
    "/*": _COMMENT,
    "--": _COMMENT,
    "<-": _FROM_SOURCE,
    "<--": _FROM_SOURCE,
    "<+": _FROM_SOURCE,
    "|-": _FROM_SOURCE,
    "←": _FROM_SOURCE,
    "-->": _ARROWS,
    "--|": _ARROWS,
    "->>": _ARROWS,
    "→": _ARROWS,
    "−>": _ARROWS,
    "−|": _ARROWS,
    "⊣": _ARROWS,
    "->": _ARROWS,
    "+>": _ARROWS,
    "-|": _ARROWS,
}
_SEARCH = re.compile(r"[^\W\d]\w*\s*(\((?=\s*(?:\)|\w+\s*=))|\b(?:in|where|order|limit|analogous)\b)")
"""What is likely a motif's name: arguments or another part of a search come after it."""
_BRACKETS = re.compile(r'"""[\s\S]*?"""|"(?:[^"\\\n]|\\.)*"|#[^\n]*|[()\[\]{}]')
_QUOTED = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_BAD_IN_TEXT = re.compile(r'\\(?!["\\/bfnrt]|u[0-9a-fA-F]{4})|[\x00-\x1f]')


def diagnose(source: Source, error: UnexpectedInput) -> Diagnostic:
    """The diagnostic of what the parser met."""
    parser = getattr(error, "interactive_parser", None)
    accepted = frozenset(parser.accepts()) if parser is not None else frozenset()
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        end = len(source.text.rstrip())
        hints = (_expected(accepted), *_unclosed(source, end, ""))
        return Diagnostic("unfinished", "the text ends too early", source, Span(end, end + 1), hints)
    start = error.pos_in_stream or 0
    return (
        _bad_text(source, start)
        or _bad_number(source, start, accepted)
        or _foreign(source, start)
        or _misplaced(source, start, error, accepted)
    )


def reminders(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Words of the language like a name that stands alone as a statement, and a hint."""
    if name == "at":
        return (), ("a count is written: at least 3 x { a -> x }",)
    folded = name.lower()
    if folded in _WORDS:
        return (folded,), ()
    return (nearest_names(name, _WORDS, at_most=1) if len(name) > 3 else ()), ()


def _misplaced(source: Source, start: int, error: UnexpectedInput, accepted: frozenset[str]) -> Diagnostic:
    word = re.compile(r"[^\W\d]\w*").match(source.text, start)
    token = error.token if isinstance(error, UnexpectedToken) else None
    found = word[0] if word else str(token) if token is not None else source.text[start : start + 1]
    span = Span(start, start + len(found))
    shown = found if len(found) <= 40 else found[:40] + "…"
    near = _near_words(found, accepted) if word and found not in RESERVED else ()
    near = near or _word_before(source.text, start)
    hints = (_expected(accepted), *_advice(found, word is not None, accepted))
    search = _SEARCH.match(source.text, start)
    if search and {"FIND", "MOTIF"} <= accepted and not near:
        hints = (*hints, f"a search begins with find, as in find {shown}{'(…)' * (search[1] == '(')}")
    if found in _CLOSING:
        hints = (*hints, *_unclosed(source, start, _CLOSING[found]))
    return Diagnostic("syntax", f"'{shown}' does not fit here", source, span, hints, near)


def _near_words(found: str, accepted: Iterable[str]) -> tuple[str, ...]:
    words = [name.lstrip("_").lower() for name in sorted(accepted) if name not in _TERMINALS or name == "_ORDER"]
    return nearest_names(found, words, at_most=1)


def _word_before(text: str, start: int) -> tuple[str, ...]:
    """The phrase that the word before a place looks like, as `atleast 3`."""
    word = re.search(r"([^\W\d]\w{2,40})\s*$", text[max(0, start - 60) : start])
    if word is None or word[1] in _WORDS:
        return ()
    return tuple(difflib.get_close_matches(word[1].lower(), ("at least", "at most", *_WORDS), 1, 0.8))


def _advice(found: str, is_word: bool, accepted: frozenset[str]) -> tuple[str, ...]:
    """What is likely meant, from what was found and what would fit."""
    if found in RESERVED and "NAME" in accepted and not accepted & {"NO", "FIND"}:
        return (f"{found} is a word of the language and cannot be a name",)
    if found == "{" and {"NAME", "PLUS"} <= accepted:
        return ("the units that are counted need a name: at least 3 x { a -> x }",)
    if accepted == {"NAME", "CLOSE_CALL"} and not is_word:
        return ("arguments are named, as in m(k = 3)",)
    if accepted >= {"_IN", "_LIMIT"} and (found in ("->", "+>", "-|", "{")):
        return ("a pattern stands in braces, as in find { a -> b }; a motif's name stands alone",)
    if "FIND" in accepted and found in ("in", "analogous", "where", "order", "limit"):
        return ("the order is: find WHAT in MODELS analogous in MODELS where … order by … limit …",)
    if {"COMMA", "FIND"} <= accepted and found == "and":
        return ("models are separated by commas, as in alexnet, vgg16",)
    if {"COMMA", "NO"} <= accepted and found in ("/", ":"):
        return ("a layer is named without its model, which stands after the braces: find { … } in alexnet",)
    if {"COMMA", "_SEMICOLON"} <= accepted and (found in ("/", "-", ".", ":") or (is_word and "FIND" in accepted)):
        return ('a name with other characters than letters, digits and _ stands in quotes, as "vgg-16"',)
    if found in ("<", "<=", ">", ">=", "=", "!=", "~") and "_AND" in accepted:
        return ("comparisons do not chain: write 0 < share and share < 1",)
    if found == "," and "ARROW" in accepted:
        return ("statements are separated by line ends or ;",)
    if found == "find" and accepted == {"MOTIF"}:
        return ('a description in """ stands before a motif',)
    if found in ("$", "`"):
        return ("names stand bare, without $ and `",)
    return ()


def _foreign(source: Source, start: int) -> Diagnostic | None:
    """Signs that another language would write here."""
    first = start
    while first > 0 and _SIGNS.match(source.text[first - 1]):
        first -= 1
    run = _SIGNS.match(source.text, first)
    if run is None or run[0] not in _FOREIGN:
        return None
    if run[0] in ("->", "+>", "-|") and first == start:
        return None
    hint = _FOREIGN[run[0]]
    if hint == _ARROWS and (word := re.search(r"\b(score|exactly)\s*$", source.text[max(0, first - 40) : first])):
        hint = f"{word[1]} begins a statement of its own; as a unit's name it stands in braces here: {{{word[1]}}} -> b"
    return Diagnostic("syntax", f"'{run[0]}' does not fit here", source, Span(first, run.end()), (hint,))


def _bad_text(source: Source, start: int) -> Diagnostic | None:
    """A text or description that is not closed, or holds what a text cannot."""
    text = source.text
    if text[start : start + 1] in ("'", "“", "”", "‘", "’"):
        return Diagnostic(
            "single-quotes", 'texts stand in straight double quotes, as "mixed4b"', source, Span(start, start + 1)
        )
    if text.startswith('"""', start):
        if text.find('"""', start + 3) == -1:
            message = 'this description is not closed; it ends with """'
            return Diagnostic("unclosed-text", message, source, Span(start, start + 3))
        message = 'a description in """ stands before a motif only'
        return Diagnostic("syntax", message, source, Span(start, start + 3))
    if text[start : start + 1] != '"':
        return None
    whole = _QUOTED.match(text, start)
    bad = _BAD_IN_TEXT.search(text, start + 1, whole.end() if whole is not None else len(text))
    if whole is None:
        message = "this text in quotes is not closed on its line"
        return Diagnostic("unclosed-text", message, source, Span(start, start + 1))
    if bad is None:
        return None
    if bad[0] == "\\":
        message = 'escapes in texts are those of JSON: \\" \\\\ \\/ \\b \\f \\n \\r \\t \\u00e9'
        return Diagnostic("bad-escape", message, source, Span(bad.start(), bad.start() + 2))
    message = "control characters in texts are written as escapes, a tab as \\t"
    return Diagnostic("bad-escape", message, source, Span(*bad.span()))


def _bad_number(source: Source, start: int, accepted: frozenset[str]) -> Diagnostic | None:
    number = re.compile(r"\.?\d[\w.]*").match(source.text, start)
    if number is None or re.fullmatch(r"(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", number[0]):
        return None
    span = Span(*number.span())
    if "NUMBER" in accepted:
        return Diagnostic("bad-number", "numbers are written as in JSON: 0.5, 12 or 1e-3", source, span)
    shown = number[0] if len(number[0]) <= 40 else number[0][:40] + "…"
    hint = "names begin with a letter or _; names of models and layers may stand in quotes"
    return Diagnostic("syntax", f"'{shown}' does not fit here", source, span, (_expected(accepted), hint))


def _unclosed(source: Source, end: int, opening: str) -> tuple[str, ...]:
    """A hint at the innermost bracket that is open at a place, where a closing bracket wants another `opening`."""
    opened: list[tuple[str, int]] = []
    for match in _BRACKETS.finditer(source.text, 0, end):
        if match[0] in ("(", "[", "{"):
            opened.append((match[0], match.start()))
        elif match[0] in (")", "]", "}") and opened:
            opened.pop()
    if opening and opening not in [bracket for bracket, _ in opened]:
        return (f"there is no open '{opening}' that it could close",)
    if not opened or opened[-1][0] == opening:
        return ()
    line, column = source.place(opened[-1][1])
    return (f"the '{opened[-1][0]}' at {line}:{column} is not closed",)


def _expected(accepted: frozenset[str]) -> str:
    """One line that sums up the terminals that would fit."""
    rest = set(accepted)
    phrases: list[str] = []
    if len(rest) > 3:  # A call or a property may follow every name.
        rest -= {"DOT"} | ({"LPAR"} if "NUMBER" not in rest else set())
    stays = {"WHERE"} if "_AS" in rest or "ARROW" in rest else set()
    for together, all_of_them, stand_for_them in _GROUPS:
        if together <= rest:
            rest -= all_of_them
            phrases += stand_for_them
            if stand_for_them is _STATEMENTS:
                rest -= {"WHERE"} - stays
    if rest - {"$END"} and "'find'" in phrases:
        phrases = ["the end of the text"]
    rest -= {"$END"}
    names = sorted({_TERMINALS.get(name, f"'{name.lstrip('_').lower()}'") for name in rest})
    closing = [name for name in names if name in _LAST]
    phrases = [*(name for name in names if name not in closing), *phrases, *closing]
    if not phrases:
        return "nothing more is expected here"
    return "expected " + ", ".join(phrases[:-1]) + (" or " if len(phrases) > 1 else "") + phrases[-1]
