"""Arithmetic in an answer, read as a value: `(us-gaap:A - us-gaap:B) / us-gaap:A * 100`, `(50 / 3590) * 100`.

Two expressions are one formula where they have one value, whatever their names stand for: each name is given a number
of its own, drawn from the name, and everything is computed exactly.
"""

import ast
import hashlib
import operator
import re
from collections.abc import Callable, Mapping
from fractions import Fraction

from finbench.scoring.denial import denies_number
from finbench.scoring.folding import first_line

LONGEST = 600  # characters of a line
MOST_NODES = 120
MOST_DIGITS = 40
LARGEST_POWER = 8
SAME = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "—": "-", "[": "(", "]": ")"})
NAME = r"[A-Za-z][\w-]*:[A-Za-z]\w*"
NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[+-]?\d{1,2})?|\.\d+"
SPAN = re.compile(rf"(?:{NAME}|{NUMBER}|\*\*|[-+*/^()]|[\s$€£])+", re.IGNORECASE)
TOKEN = re.compile(
    rf"(?P<name>{NAME}|[A-Za-z_]\w*)|(?P<number>{NUMBER})|(?P<power>\*\*|\^)|(?P<other>[-+*/()])|[\s$€£`]+",
    re.IGNORECASE,
)
PREFIX = re.compile(r"us-gaap:", re.IGNORECASE)
OPERATIONS: Mapping[type, Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def value_in(text: str) -> str:
    """Return the value of the one formula of the first line as an exact fraction, "" where there is none or several.

    Of both sides of an equals sign the one that computes counts; where each does they must agree.
    """
    line = first_line(text).translate(SAME)[:LONGEST]
    found: set[str] = set()
    for side in re.split(r"(?<![<>!])=", line):
        whole = side.strip().strip("*`").strip().rstrip(".%").strip()
        if value := _value(whole):
            found.add(value)
            continue
        for span in SPAN.finditer(side):
            if re.match(r"\w\S", side[max(0, span.start() - 1) : span.start()] + span[0]) and span.start():
                continue  # f(2) + 1
            value = _value(span[0].strip().rstrip("*-+/").strip())
            if value and denies_number(side[: span.start()].casefold(), side[span.end() :].casefold()):
                return ""
            found |= {value} if value else set()
    return found.pop() if len(found) == 1 else ""


def _value(text: str) -> str:
    """Return the value of an expression and nothing else, "" where it is none that can be computed."""
    position, parts = 0, []
    while position < len(text):
        token = TOKEN.match(text, position)
        if token is None:
            return ""
        parts.append(_part(token))
        position = token.end()
    try:
        tree = ast.parse("".join(parts).strip(), mode="eval")
        if sum(1 for _ in ast.walk(tree)) > MOST_NODES:
            return ""
        return str(_computed(tree.body)) if isinstance(tree.body, ast.BinOp) else ""
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return ""


def _part(token: re.Match[str]) -> str:
    """Return a token as Python reads it: names and numbers as texts to be looked up, of which two in a row are none."""
    if token["name"]:
        return f"({PREFIX.sub('', token['name'])!r})"
    if token["number"]:
        return f"({token['number'].replace(',', '')!r})"
    return "**" if token["power"] else token["other"] or " "


def _computed(node: ast.expr) -> Fraction:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _named(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd | ast.USub):
        inner = _computed(node.operand)
        return -inner if isinstance(node.op, ast.USub) else inner
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        base, power = _computed(node.left), _computed(node.right)
        if power.denominator != 1 or abs(power) > LARGEST_POWER:
            raise ValueError("no such power")
        return Fraction(base ** int(power))
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATIONS:
        return OPERATIONS[type(node.op)](_computed(node.left), _computed(node.right))
    raise ValueError("no arithmetic")


def _named(word: str) -> Fraction:
    """Return the value of a number, or the one that stands for a name: large, and the same wherever the name stands."""
    if re.match(r"[\d.]", word):
        if len(word) > MOST_DIGITS:
            raise ValueError("too long a number")
        return Fraction(word)
    return Fraction(int.from_bytes(hashlib.sha256(word.encode()).digest()[:8]) | 1)
