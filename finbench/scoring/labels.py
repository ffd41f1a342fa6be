"""Which label an answer names: whole words on its first line, none that it denies, one or none."""

import re
from collections.abc import Sequence
from functools import lru_cache

from finbench.scoring.denial import denied, denied_right_before, is_denial
from finbench.scoring.folding import first_line, plain, visible

# Scripts that put no spaces between words: Thai, Lao, Burmese, Khmer, kana, Han.
UNSPACED = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
KATAKANA, HANGUL = r"\u30a1-\u30fa\u30fc", r"\uac00-\ud7a3"
PARTICLES = "적|이|입|임|은|는|을|를|의|으로|로|함|한|과|와|도"
MARKS = r"\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u3099\u309a"  # vowels and tones that belong to the letter before them
WORD_BEFORE = rf"(?<![^\W{UNSPACED}])(?<!-)"
WORD_AFTER = rf"(?![^\W{UNSPACED}]|-)"


def label_in(text: str, labels: Sequence[str]) -> str:
    """Return the one label that stands as whole words in the first line and is not denied there, else "".

    Width, case, invisible characters and markdown do not matter. In scripts without spaces a label of several
    characters is found inside a sentence, one of a single character where it stands alone.
    """
    found, denies = _named(text, labels)
    return found[0] if len(found) == 1 and not denies else ""


def labels_in(text: str, labels: Sequence[str], none: str = "none") -> tuple[str, ...] | None:
    """Return all labels that stand as whole words in the first line and are not denied, in the order of `labels`.

    Where there are none, it is () if the line says `none` and nothing else, and None if nothing can be read.
    """
    found, denies = _named(text, labels)
    if found:
        return tuple(label for label in labels if label in found)
    words = plain(first_line(text)).strip(" .\"'")
    return () if words == none and not denies else None


def _named(text: str, labels: Sequence[str]) -> tuple[list[str], bool]:
    """Return the labels that the first line names and does not deny, and whether it denies one."""
    folded, patterns = _patterns(tuple(labels))
    line = first_line(text)
    line = plain(line) if folded else visible(line).casefold()
    names = frozenset(name for _, name, _ in patterns)
    found, denies = [], False
    for label, name, pattern in patterns:
        named = list(pattern.finditer(line))
        parts = ((line[: match.start()], line[match.end() :]) for match in named)
        no = any(
            denied_right_before(before) if is_denial(name) else denied(before, after, names) for before, after in parts
        )
        denies = denies or no
        if named:
            line = pattern.sub(" ", line)
            found += [] if no else [label]
    return found, denies


@lru_cache(maxsize=64)
def _patterns(labels: tuple[str, ...]) -> tuple[bool, tuple[tuple[str, str, re.Pattern[str]], ...]]:
    """Return labels with their folded names and patterns, long ones first, and whether markdown may be folded away."""
    names = [plain(label).strip() for label in labels]
    # Labels such as C and C* would become one; then the answer's marks are left as they are, too.
    folded = all(names) and len(set(names)) == len({label.casefold() for label in labels})
    if not folded:
        names = [visible(label).casefold().strip() for label in labels]
    # "strong negative" is read before "negative" could be
    pairs = sorted(zip(labels, names, strict=True), key=lambda pair: len(pair[1]), reverse=True)
    return folded, tuple((label, name, re.compile(_pattern(name))) for label, name in pairs)


def _pattern(name: str) -> str:
    escaped = r"\s+".join(map(re.escape, name.split()))
    if re.fullmatch(f"[{UNSPACED}]", name):
        return rf"(?<!\w){escaped}(?=的?(?:です|だ|である)?(?!\w))"
    before = after = ""
    if re.match(f"[{KATAKANA}]", name):
        before = f"(?<![{KATAKANA}])"
    elif not re.match(f"[{UNSPACED}]", name):
        before = WORD_BEFORE
    if re.search(f"[{KATAKANA}]$", name):
        after = f"(?![{KATAKANA}])"
    elif re.search(f"[{HANGUL}]$", name):
        after = f"(?=(?:{PARTICLES})|[^{HANGUL}\\w]|$)"
    elif not re.search(f"[{UNSPACED}]$", name):
        after = WORD_AFTER
    return f"{before}{escaped}{after}(?![{MARKS}])"
