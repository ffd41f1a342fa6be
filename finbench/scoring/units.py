"""What stands around a number and belongs to it: sign, currency, scale, percent; and dates, which are no numbers."""

import re
from dataclasses import dataclass

SCALES = (  # powers of ten, and the words for them
    (3, r"thousands?|tausend|tsd\.?"),
    (5, r"lakhs?|lacs?"),
    (6, r"millions?|mio\.?|mln|mil\.?|mn|millionen|mill[oó]n|millones|milh(?:ão|ões)|milioni"),
    (7, r"crores?"),
    (9, r"billions?|bln|bil\.?|bn|milliarden?|milliards?|mrd\.?|miliardi|bilh(?:ão|ões)"),
    (12, r"trillions?|trn|tn"),
)
SCALE = "|".join(words for _, words in SCALES)
LETTERS = {"k": 3, "m": 6, "mm": 6, "b": 9, "t": 12}
HAN = {"百万": 6, "千": 3, "万": 4, "萬": 4, "亿": 8, "億": 8, "兆": 12, "천": 3, "만": 4, "억": 8, "조": 12}
CODES = "usd|eur|gbp|jpy|cny|rmb|inr|chf|cad|aud|nzd|hkd|sgd|sek|nok|dkk|krw|brl|mxn|zar|rub|pln|twd|rs"
CURRENCY = rf"(?:(?<![a-z])[a-z]{{0,3}}[$€£¥₹₩₽₺฿₫₪₴₦₱₿]|(?<![a-z])(?:{CODES})(?![a-z])\.?)"
MONEY = rf"{CURRENCY}|(?:us\s+)?(?:dollars?|euros?|pounds?|yen|yuan|rupees?)\b|美元|日元|欧元|人民币|[元円圆원]"
MINUS = "[-\u02d7\u2012\u2013\u2014\u2015\u2043\u207b\u208b\u2212\u2796\ufe58\ufe63]"
MINUS_WORD = r"\b(?:minus|negative|negativ)\s+|[负負]|マイナス"
LETTER = r"[^\W\d_\u3040-\u30ff\u3400-\u9fff]"  # one that makes a longer word of what stands before it
UNIT = re.compile(
    r"\s*(?:(?P<percent>%|(?:percent(?:age)?(?:\s+points?)?|per\s+cent|pct|prozent|pc|ppt?s?|p\.p\.)(?![^\W\d]))|"
    r"(?P<mille>‰)|(?P<times>x(?!\s*\w))|(?P<basis>(?:bps?|basis\s+points?)\b)|"
    rf"(?P<scale>{SCALE})(?!{LETTER})|(?P<coded>[kmt])(?:{CODES})(?!{LETTER})|(?P<letter>mm|[kmbt])(?!{LETTER})|"
    rf"(?P<han>{'|'.join(HAN)})|(?P<money>{MONEY}))",
    re.IGNORECASE,
)
NOTE = re.compile(
    rf"\s*(?:\(\s*(?:(?:{CURRENCY})\s*)?(?:[a-z]+\s+)?(?:in\s+)?|in\s+)(?:(?:{MONEY})\s*)*(?P<scale>{SCALE})(?!{LETTER})"
    rf"(?:\s*(?:of\s+)?(?:{MONEY}))*\s*\)?",
    re.IGNORECASE,
)
POWER = re.compile(r"\s*[x×*·]\s*10\s*(?:\^|\*\*)\s*(?P<power>[+-]?\d{1,2})(?!\d)", re.IGNORECASE)

MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?|januar|februar|märz|mai|juni|juli|oktober|dezember|janvier|février|mars|avril|juin|"
    r"juillet|août|septembre|octobre|novembre|décembre)\b\.?"
)
DATE = re.compile(
    r"\b\d{4}-\d{1,2}-\d{1,2}\b|\b\d{1,2}/\d{1,2}/\d{2,4}\b|\b\d{1,2}\.\d{1,2}\.(?:19|20)?\d\d\b(?![.,]\d)|"
    rf"\b{MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s+(?:19|20)\d\d)?\b(?![.,]\d)|"
    rf"\b\d{{1,2}}(?:st|nd|rd|th|er|\.)?\s+(?:of\s+)?{MONTH},?(?:\s+(?:19|20)\d\d\b)?|\b{MONTH}\s+(?:19|20)\d\d\b|"
    r"\b(?:fy|fiscal(?:\s+year)?|calendar\s+year)\s*'?(?:(?:19|20)\d\d|\d\d)(?:[-/]\d{2,4})?\b|"
    r"\b(?:[qh][1-4]|[1-4][qh])(?:\d\d\b|\b(?:\s*(?:fy\s*)?(?:'\d\d|(?:19|20)\d\d)\b)?)|"
    r"(?:19|20)\d\d年(?:度|\d{1,2}月)?(?:\d{1,2}日)?",
    re.IGNORECASE,
)
YEAR = re.compile(
    r"\b(?:in|for|of|by|during|since|from|to|year|ended|ending|jahre?|année|en|anno|año)\s+(?:19|20)\d\d\b"
    r"(?![.,]\d)|^\s*(?:19|20)\d\d\s*:|\((?:19|20)\d\d\)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Units:
    """What follows a number: the power of ten that it is scaled by, whether it is a percentage, and where that ends."""

    power: int
    percent: bool
    end: int


def units_at(line: str, position: int, money: bool) -> Units | None:
    """Return the units at a place of a line, None where they are not clear; `money` says that a currency stood before.

    A single letter is a scale where it is a capital beside the number ("5B", "5k" too) or stands beside a currency.
    """
    power, percent, end, words = 0, False, position, 0
    power_of_ten = POWER.match(line, end)
    if power_of_ten:
        power, end = int(power_of_ten["power"]), power_of_ten.end()
    while unit := UNIT.match(line, end):
        letter = unit["letter"]
        if letter and not (money or (unit.start("letter") == position and letter in "kKMBT")):
            # 5m may be metres or millions, 5 t tonnes
            return None if unit.start("letter") > position else Units(power, percent, end)
        money = money or bool(unit["money"])
        words += bool(unit["scale"] or letter or unit["coded"])
        power += _power(unit)
        percent = percent or bool(unit["percent"] or unit["basis"] or unit["mille"])
        end = unit.end()
    note = NOTE.match(line, end)
    if note is None:
        return Units(power, percent, end)
    return None if words else Units(power + _power_of(note["scale"]), percent, note.end())


def _power(unit: re.Match[str]) -> int:
    if unit["basis"] or unit["mille"]:
        return -2 if unit["basis"] else -1  # of the percent that they are counted in
    if unit["coded"]:
        return 6 if unit["coded"].lower() == "m" else 3  # MEUR; TEUR and kUSD are thousands
    if unit["han"]:
        return HAN[unit["han"]]
    return LETTERS[unit["letter"].lower()] if unit["letter"] else _power_of(unit["scale"] or "")


def _power_of(word: str) -> int:
    return next((power for power, words in SCALES if re.fullmatch(words, word, re.IGNORECASE)), 0)
