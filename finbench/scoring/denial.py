"""Whether a sentence denies a word in it: "isn't positive", "far from positive", "positive? no", 不积极.

The words before and after it come folded (`finbench.scoring.folding.plain`). A denial reaches to the end of its clause.
Where it is not clear, the word counts as denied: an answer that is not read costs a point and a wrong one is believed.
"""

import re

REACH = 300  # characters: no clause is longer
NOT = (  # what denies right before a word, whatever mark stands between
    r"(?:\b(?:not|never|neither|nor|non|anything but|nicht|kein\w*|pas|jamais|niet|geen|inte|ikke|не)|n't|"
    r"[¬≠❌✗✘]|!=|(?<!\S)!|\[\s?\])"
)
CONTRACTED = r"\b(?:ai|is|are|was|were|do|does|did|has|have|had|would|could|should|wo|ca|must|might|need)n'?t\b"
WORDS = (
    r"not|never|neither|nor|no|none|nothing|nobody|nowhere|without|hardly|barely|scarcely|rarely|seldom|cannot|non|"
    r"lack|lacks|lacking|lacked|absence|absent|fail|fails|failed|unlikely|far from|anything but|rather than|"
    r"instead of|other than|(?:as )?opposed to|opposite of|contrary to|except|excluding|excludes?|excluded|"
    r"rul(?:e|es|ed|ing) out|den(?:y|ies|ied|ying)|least|wrong|incorrect|false|untrue|inaccurate|doubt|doubts|"
    r"doubtful|unclear|unsure|uncertain|undecided|disagree|hard to|difficult to|too \w+ to|"
    # German, French, Spanish, Italian, Portuguese, Dutch, Scandinavian, Russian, Polish, Hungarian, Finnish, Greek,
    # Vietnamese, Indonesian, Arabic, Hebrew, Korean
    r"nicht|kein\w*|nie|niemals|kaum|weder|ohne|pas|jamais|sans|ni|aucun\w*|nunca|sin|tampoco|senza|mai|não|nao|sem|"
    r"niet|geen|nooit|inte|ingen|ikke|не|нет|ни|без|ні|nem|ei|"
    r"alles andere als|guère|δεν|όχι|không|chẳng|chưa|tidak|bukan|tanpa|ليس|ليست|غير|לא|안|못"
)
BEFORE = re.compile(rf"\b(?:{WORDS})\b|{CONTRACTED}|\w+n't\b")
RIGHT_BEFORE = re.compile(rf"{NOT}\W*$")
BETWEEN_COMMAS = re.compile(rf"{NOT}\s*,[^,;.!?]*,\s*$")  # not, in my view, positive
AFFIRMED = re.compile(
    r"\b(?:no|without|without a|without any|beyond|beyond any|not in) (?:doubt|question)\b|"
    r"\bat least\b|\bnothing but\b|\bnot (?:only|just|merely)\b"
)
CLAUSE = re.compile(
    r"[;:!?。，；：！？、|]|(?<!\.)\.(?=\s|$)|\s[-–—]+\s|—|->|=>|→|"
    r"(?<!anything )(?<!nothing )\bbut\b|\b(?:however|therefore|thus|hence|whereas|although|though|because|since|while|"
    r"aber|sondern|jedoch|mais|donc|pero|sino|però|но|а)\b|但是|但|然而|所以|因此|而是|不过|不過|可是|しかし|だが|แต่"
)
# A comma ends a clause where a new one begins behind it; "not in any way, shape or form" goes on.
STARTS = re.compile(
    r"\W*$|\W*(?:so|and|or|it|its|it's|this|that|these|which|what|the|an?|i|we|they|you|overall|then|is|was|are|making|my|"
    r"still|just|only|as|if|when|given|yes|no|label|answer|sentiment|tone|es|il|elle|er|sie|das|die|der|und|et|y|e)\b"
)
BRACKETED = re.compile(r"\([^()]*\)")

NUMBER_BEFORE = re.compile(
    rf"\b(?:not|never|neither|nor|cannot|nicht|niet|inte|ikke|не)\b|{CONTRACTED}|\w+n't\b|不是|并非"
)

# Chinese and Japanese deny by a character before the word, and have the same characters in words that deny nothing.
HAN_BEFORE = re.compile("[不非未没沒無无否勿莫唔冇]|缺乏|难以|難以")
HAN_OTHER = re.compile(
    "非常|非凡|非农|非農|非洲|非银|非流动|无疑|無疑|毫无疑问|毫無疑問|无论|無論|无非|无形|无线|无人|无锡|不仅|不僅|不但|不只|不止|不断|"
    "不斷|不错|不錯|不少|不久|不禁|不得不|不动产|不動産|不锈钢|未来|未來|除非|没错|沒錯"
)
THAI_BEFORE = re.compile("ไม่|มิใช่|มิได้|ไร้|ปราศจาก")
THAI_OTHER = re.compile("ไม่เพียง|ไม่ต้องสงสัย")

VERBS = r"(?:is|was|are|were|be|seems?|does|do|did|can|could|would|should|will|has|have|had)"
AFTER = re.compile(
    rf"^[\"')\s]*(?:(?:sentiment|tone|label|answer|class|outlook|view|option|choice|news)\s+)?(?:{VERBS}\s+)?(?:be\s+)?"
    rf"(?:\w+ly\s+)?(?:{VERBS}\s+(?:\w+ly\s+)?(?:not|never|hardly|wrong|incorrect|false|unlikely|ruled|excluded|out)\b|"
    rf"{CONTRACTED}|cannot\b)"
    r"|^\W*\bnot\W*$"
    r"|^\s*(?:it|this|that)\s+(?:(?:is|was)\s+not|(?:is|was)n't)\W*$"
    r"|^[\"'\s]*\?\W*(?:i\s+)?(?:no\b|nope\b|not\b|never\b|hardly\b|do\s?n't|would\s?n't|don't|wouldn't)"
    r"|^\W*(?:\w+\W+){0,3}(?:nicht|niet|ikke|inte|değil\w*|नहीं)\b"
    r"|^[^。、，,.!?]{0,8}?(?:않|아니|아님|없|못)"  # Korean
    r"|^(?:的)?(?:情绪|情感|态度)?(?:是)?(?:不对|错|不正确|不成立|吗?[?？]*\s*[不否没])"  # Chinese
)
FALSE_AFTER = re.compile(  # {"positive": false}, positive (no), positive ✗
    r"^[\"'\s]*[:=]\s*(?:false|no|0|not|n/a)\b(?![.\d])|^\W*\b(?:no|nope|never|false|wrong|incorrect)\W*$|"
    r"^[\"'\s:=]*[❌✗✘]"
)
JAPANESE_AFTER = re.compile("^[^。、，,.!?]*?(?:ない|なく|なかった|ません|ず(?:に|、|$)|無い|無く)")
JAPANESE_OTHER = re.compile(
    "(?:間違い|違い|問題|疑い|他なら|ほかなら|ざるを得)(?:は|が|の)?(?:ない|なく|ありません|無い)"
)


def denied(before: str, after: str, labels: frozenset[str] = frozenset()) -> bool:
    """Say whether what stands before or after a word in its line denies it; `labels` are no words that deny."""
    before, after = before[-REACH:], after[:REACH]
    if RIGHT_BEFORE.search(before) or BETWEEN_COMMAS.search(before) or _denied_after(after, labels):
        return True
    clause = _clause(THAI_OTHER.sub("", HAN_OTHER.sub("", before)))
    words = (found[0] for found in BEFORE.finditer(clause))
    return any(word not in labels for word in words) or bool(HAN_BEFORE.search(clause) or THAI_BEFORE.search(clause))


def denies_number(before: str, after: str) -> bool:
    """Say whether a number is denied; "without tax" and "excluding" only say what it is the number of."""
    before, after = before[-REACH:].casefold(), after[:REACH].casefold()
    clause = _clause(before)
    return bool(RIGHT_BEFORE.search(before) or NUMBER_BEFORE.search(clause) or AFTER.search(after))


def _clause(before: str) -> str:
    """Return the clause that a word stands in, as far as the word."""
    parts = CLAUSE.split(BRACKETED.sub(" ", AFFIRMED.sub(" ", before)))[-1].split(",")
    starts = (n for n in range(len(parts) - 1, 0, -1) if STARTS.match(parts[n]))
    return ",".join(parts[next(starts, 0) :])


def denied_right_before(before: str) -> bool:
    """Say whether the very word before denies: for "no" and the like, which are words that deny themselves."""
    return bool(re.search(r"(?:\bnot|n't|不|非)\s+(?:an?\s+|the\s+)?[\"'(]*$", before))


def is_denial(word: str) -> bool:
    """Say whether a label is itself a word that denies, such as "no"."""
    return bool(re.fullmatch(rf"(?:{WORDS}|nein|нет|否|不|不是|没有|いいえ|ไม่)", word))


def _denied_after(after: str, labels: frozenset[str]) -> bool:
    if AFTER.search(after) or (not labels & {"no", "false", "0"} and FALSE_AFTER.search(after)):
        return True
    return bool(JAPANESE_AFTER.search(JAPANESE_OTHER.sub("", after)))
