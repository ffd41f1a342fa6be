"""A label counts where an answer names it as a careful reader would see it: not where it is denied, in any script."""

import time

import pytest

from finbench.scoring.labels import label_in

SENTIMENT = ("negative", "neutral", "positive")
YES_NO = ("No", "Yes")
CHINESE = ("积极", "消极", "中性")
JAPANESE = ("ポジティブ", "ネガティブ", "中立")
KOREAN = ("긍정", "부정", "중립")
THAI = ("บวก", "ลบ", "เป็นกลาง")

DENIED = [
    "isn't negative", "isn\u2019t negative", "isn`t negative", "isnt negative", "not at all negative",
    "not 'negative'", "Not **negative**",
    "not (negative)", "not: negative", "not... negative", "not, I think, negative", "no longer negative",
    "never negative", "hardly negative",
    "far from negative", "anything but negative", "neither negative", "nor negative", "without being negative",
    "cannot be called negative",
    "I would not say that this news is negative", "There is nothing negative", "no negative signs", "!negative",
    "≠ negative", "❌ negative", "negative ✗", "negative (no)", "negative: no", "unclear whether it is negative",
    "không negative",
    "rather than negative",
    "instead of negative", "unlikely to be negative", "the opposite of negative", "it lacks negative words",
    "non negative", "non-negative",
    "non\u2011negative", "non\u2013negative", "~~negative~~", "negative? No.", "negative is not right",
    "negative isn't the answer", "negative, not!",
    "Negative would be wrong", "negative it is not", '{"negative": false}', "nicht negative", "n'est pas negative",
    "no es negative",
    "non è negative, anzi", "not in any way, shape or form negative", "not clearly, strongly negative",
    "It is barely negative", "It can't be negative", "不negative",
]  # fmt: skip
PLAIN = [
    "negative", "Negative.", "NEGATIVE!", "**negative**", "__negative__", "_negative_", "`negative`",
    "***Negative***", "**neg**ative", "> negative",
    "negative (bearish)", "bearish, i.e. negative", "negative, negative", "Negative = bearish", "negative (-1)",
    "- negative", "# Negative", "“negative”", "«negative»", "<b>negative</b>", "\\boxed{negative}", "negative</s>",
    "```\nnegative\n```",
    "ｎｅｇａｔｉｖｅ", "neg\u200bative", "neg\u00adative", "\ufeffnegative", "\u200b\nnegative", "𝐧𝐞𝐠𝐚𝐭𝐢𝐯𝐞",
    "\u202dnegative\u202c", "情绪是negative的",
    "not sure, but negative", "I do not know why; negative", "It is not good: negative", "no doubt negative",
    "without any doubt negative",
    "nothing but negative", "Negative because it did not grow", "Negative, since sales were not up",
    "not only negative", '{"label": "negative"}',
    "~~positive~~ negative", "negative\nnot negative",
]  # fmt: skip
OTHERS = [
    (SENTIMENT, {"negatively": "", "negative/positive": "", "neither negative nor positive": "", "semi-negative": "",
    "": ""}),
    (YES_NO, {"No": "No", "No, it does not": "No", "No it is not": "No", "No, there is no mention": "No",
    "not yes": "", "Yes": "Yes",
              "No. The text does not say.": "No", "Yes, it does not mention a fall": "Yes", "not no": "",
              "Yes? No": "", "Nope": ""}),
    (CHINESE, {"消极。": "消极", "答案：消极": "消极", "这条新闻的情绪是消极的": "消极", "情绪为中性": "中性",
    "【消极】": "消极", "非常消极": "消极",
               "无疑是消极的": "消极", "不仅消极": "消极", "业绩不差，但情绪消极": "消极", "不消极": "",
               "不是消极的": "", "并非消极": "", "不太消极": "",
               "没有消极的信号": "", "谈不上消极": "", "不能说是消极的": "", "未见消极": "", "毫无消极之处": "",
               "消极是不对的": "", "消极或积极": "",
               "既不消极也不积极": ""}),
    (JAPANESE, {"この記事はネガティブです": "ネガティブ", "答え：ネガティブ": "ネガティブ", "ﾈｶﾞﾃｨﾌﾞ": "ネガティブ",
    "感情は中立です。": "中立",
                "ネガティブに違いない": "ネガティブ", "ネガティブではない": "", "ネガティブではありません": "",
                "ネガティブじゃない": "",
                "ネガティブとは言えない": "", "非ネガティブ": "", "スーパーネガティブ": "",
                "ポジティブでもネガティブでもない": ""}),
    (KOREAN, {"부정적입니다": "부정", "답: 중립": "중립", "부정": "부정", "부정적이지 않다": "", "부정이 아니다": "",
    "부정확": ""}),
    (THAI, {"ข่าวนี้เป็นลบ": "ลบ", "คำตอบ: เป็นกลาง": "เป็นกลาง", "ไม่เป็นลบ": "", "ไม่ใช่เชิงลบ": "",
    "ลบหรือบวก": ""}),
    (("是", "否"), {"答案是：否": "否", "答案：是的。": "是", "否": "否", "是否": "", "不是": ""}),
    (("消极", "不消极"), {"不消极": "不消极", "很消极": "消极"}),
    (("negative", "not negative"), {"not negative": "not negative", "It is negative": "negative"}),
    (("C", "C*", "C++"), {"C*": "C*", "C": "C", "C++": "C++"}),
    (("very_bad", "bad"), {"very_bad": "very_bad", "**very_bad**": "very_bad", "_bad_": "bad"}),
    (("négatif", "positif"), {"ne\u0301gatif": "négatif", "C'est négatif": "négatif", "pas négatif": "",
    "jamais négatif": ""}),
    (("отрицательный", "положительный"), {"не отрицательный": "", "отрицательный": "отрицательный"}),
]  # fmt: skip


@pytest.mark.parametrize("text", DENIED)
def test_a_denied_label_is_not_read(text: str) -> None:
    assert label_in(text, SENTIMENT) == ""


@pytest.mark.parametrize("text", PLAIN)
def test_how_it_is_written_does_not_matter(text: str) -> None:
    assert label_in(text, SENTIMENT) == "negative"


@pytest.mark.parametrize(
    ("labels", "text", "read"), [(labels, text, read) for labels, cases in OTHERS for text, read in cases.items()]
)
def test_labels_of_other_scripts_and_shapes(labels: tuple[str, ...], text: str, read: str) -> None:
    assert label_in(text, labels) == label_in(text, labels[::-1]) == read


def test_long_answers_take_no_time() -> None:
    started = time.monotonic()
    for text in ("not " * 5000, "negative " * 2000, '"negative"? ' * 1000, "*" * 20000, "不" * 20000):
        label_in(text, SENTIMENT)
    assert time.monotonic() - started < 10
