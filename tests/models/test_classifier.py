"""hf-classifier: labels by name, every head and adapter, and everything it refuses."""

import json
import shutil
import subprocess
import sys

import pytest
import torch
from lm_eval.api.instance import Instance

from finbench.adapters.bottleneck.model import BottleneckConfig
from finbench.adapters.folder import base_sha256, write_record
from finbench.errors import FinbenchError
from finbench.hf.prompts import connect
from finbench.models.classifier import ClassifierLM

LABELS = ("negative", "neutral", "positive")
TEXTS = [((f"profit rose in quarter {n} " * (1 + n % 7)).strip(),) for n in range(12)] + [
    ("what is this", "sales fell")
]
TARGETS = {"bert": ["query"], "gpt2": ["c_attn"], "llama": ["q_proj"]}


def requests(texts=TEXTS, labels=LABELS, **doc):
    return [
        Instance(
            "loglikelihood",
            {"id": f"row-{n}", "choices": list(labels), "classifier_text": list(text), **doc},
            ("a prompt that nobody reads", f" {label}"),
            place,
            ("fin_fpb", n, 1),
        )
        for n, text in enumerate(texts)
        for place, label in enumerate(labels)
    ]


def scores(lm, texts=TEXTS, labels=LABELS):
    """Return log-probabilities (rows, labels)."""
    values = [value for value, _ in lm.loglikelihood(requests(texts, labels), disable_tqdm=True)]
    return torch.tensor(values).view(len(texts), len(labels))


def headed(body, folder, labels=LABELS, pad_token_id=0, seed=1):
    """Write a model with a trained head for a body, with its tokenizer; return the folder."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_pretrained(
        body, num_labels=len(labels), id2label=dict(enumerate(labels)), pad_token_id=pad_token_id
    )
    spread(model)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(body).save_pretrained(folder)
    return folder


def spread(model):
    """Move trained weights apart, so that every part of the model shows in the scores."""
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data += 0.2 * torch.randn_like(weight)


def adapter_on(body, folder, config, labels=LABELS):
    """Write an adapter with a head for a body, its record beside it; return its folder and the live model."""
    from peft import get_peft_model
    from transformers import AutoModelForSequenceClassification

    torch.manual_seed(2)
    base = AutoModelForSequenceClassification.from_pretrained(body, num_labels=len(labels))
    model = connect(get_peft_model(base, config)).eval()
    spread(model)
    model.save_pretrained(folder)
    write_record(folder, {"labels": list(labels), "base": {"id": str(body), "sha256": base_sha256(str(body))}})
    return folder, model


def config_for(name, family):
    from peft import IA3Config, LoraConfig, PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig

    if name == "lora":
        return LoraConfig(task_type="SEQ_CLS", r=2, target_modules=TARGETS[family])
    kinds = {"prefix": PrefixTuningConfig, "prompt": PromptTuningConfig, "ptuning": PromptEncoderConfig}
    if name in kinds:
        return kinds[name](task_type="SEQ_CLS", num_virtual_tokens=3)
    return {"ia3": IA3Config, "bottleneck": BottleneckConfig}[name](task_type="SEQ_CLS")


@pytest.fixture(scope="module")
def finished(bert, tmp_path_factory):
    """A fine-tuned BERT with the three sentiments."""
    return headed(bert, tmp_path_factory.mktemp("finished"))


@pytest.fixture(scope="module")
def lora(bert, tmp_path_factory):
    return adapter_on(bert, tmp_path_factory.mktemp("lora"), config_for("lora", "bert"))[0]


def test_scores_are_the_plain_forward_pass_by_name(finished):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(finished).eval()
    tokenizer = AutoTokenizer.from_pretrained(finished)
    with torch.no_grad():
        plain = [model(**tokenizer(*text, return_tensors="pt")).logits.log_softmax(-1)[0] for text in TEXTS]
    lm = ClassifierLM(str(finished), device="cpu")
    torch.testing.assert_close(scores(lm), torch.stack(plain), atol=1e-6, rtol=0)
    greedy = [is_greedy for _, is_greedy in lm.loglikelihood(requests(), disable_tqdm=True)]
    assert torch.tensor(greedy).view(-1, 3).int().argmax(1).tolist() == torch.stack(plain).argmax(1).tolist()
    assert sum(greedy) == len(TEXTS)


@pytest.mark.parametrize("order", [("positive", "negative", "neutral"), ("Neutral", "Positive", "Negative")])
def test_published_label_orders_score_the_same(finished, tmp_path, order):
    """The orders of ProsusAI/finbert and yiyanghkust/finbert-tone, on one head with its rows in another order."""
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(finished)
    rows = [LABELS.index(label.lower()) for label in order]
    model.classifier.weight.data = model.classifier.weight.data[rows]
    model.classifier.bias.data = model.classifier.bias.data[rows]
    model.config.id2label = dict(enumerate(order))
    shutil.copytree(finished, tmp_path / "permuted")
    model.save_pretrained(tmp_path / "permuted")
    permuted = ClassifierLM(str(tmp_path / "permuted"), device="cpu")
    assert permuted.class_names() == order
    torch.testing.assert_close(scores(permuted), scores(ClassifierLM(str(finished), device="cpu")))


@pytest.mark.parametrize(("family", "pad_token_id"), [("bert", 0), ("gpt2", 0), ("gpt2", None), ("llama", None)])
def test_batch_size_changes_nothing(family, pad_token_id, tmp_path, request):
    folder = headed(request.getfixturevalue(family), tmp_path, pad_token_id=pad_token_id)
    alone = scores(ClassifierLM(str(folder), batch_size=1, device="cpu"))
    for batch_size in (8, 64, "auto"):
        together = scores(ClassifierLM(str(folder), batch_size=batch_size, device="cpu"))
        torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", ["bert", "gpt2"])
@pytest.mark.parametrize("method", ["lora", "ia3", "prefix", "prompt", "ptuning", "bottleneck"])
def test_an_adapter_scores_as_the_model_it_was_saved_from(method, family, tmp_path, request):
    body = request.getfixturevalue(family)
    folder, live = adapter_on(body, tmp_path / method, config_for(method, family))
    lm = ClassifierLM(str(body), peft=str(folder), batch_size=8, device="cpu")
    assert lm.class_names() == LABELS
    alone = ClassifierLM(live, tokenizer=lm.tokenizer, labels=LABELS, batch_size=1)
    torch.testing.assert_close(scores(lm), scores(alone), atol=1e-5, rtol=0)
    assert lm.longest_input == lm.max_length - (3 if method in ("prefix", "prompt", "ptuning") else 0)


def test_each_text_runs_once(finished):
    lm = ClassifierLM(str(finished), batch_size=4, device="cpu")
    assert lm.padding_side() == "right"  # which is tried once
    sizes = []
    lm.model.register_forward_hook(lambda module, given, output: sizes.append(len(output.logits)))
    repeated = scores(lm, [*TEXTS, TEXTS[0]])
    assert sum(sizes) == len(TEXTS)
    assert torch.equal(repeated[0], repeated[-1])


def test_names_can_be_given(bert, tmp_path):
    folder = headed(bert, tmp_path, labels=("LABEL_0", "LABEL_1", "LABEL_2"))
    named = ClassifierLM(str(folder), labels="neutral/negative/positive", device="cpu")
    nameless = ClassifierLM(str(folder), device="cpu")
    raw = scores(nameless, labels=("LABEL_0", "LABEL_1", "LABEL_2"))
    torch.testing.assert_close(scores(named), raw[:, [1, 0, 2]])
    with pytest.raises(FinbenchError, match=r"have no names.*labels=negative/neutral/positive"):
        scores(nameless)
    with pytest.raises(FinbenchError, match="names 2 classes .* has 3"):
        ClassifierLM(str(folder), labels="up/down", device="cpu")


@pytest.mark.parametrize("labels", [("no", "yes"), ("negative", "positive"), (*LABELS, "mixed")])
def test_other_classes_are_refused_with_both_lists(finished, labels):
    lm = ClassifierLM(str(finished), device="cpu")
    with pytest.raises(FinbenchError, match=f"fin_fpb asks for {', '.join(labels)}, but .* {', '.join(LABELS)}"):
        scores(lm, labels=labels)


def test_a_base_without_a_head_has_no_score(bert):
    with pytest.raises(FinbenchError, match=r"no trained classification head \(classifier.bias, classifier.weight"):
        ClassifierLM(str(bert), device="cpu")


def test_weights_that_neither_base_nor_adapter_has_are_refused(bert, tmp_path):
    """A layer below the head, other random numbers at every load, that the adapter did not save."""
    from peft import LoraConfig
    from transformers import BertModel

    body = shutil.copytree(bert, tmp_path / "body")
    BertModel.from_pretrained(bert, add_pooling_layer=False).save_pretrained(body)

    def lora(name, **more):
        config = LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query"], **more)
        return str(adapter_on(body, tmp_path / name, config)[0])

    with pytest.raises(FinbenchError, match=r"both lack bert.pooler.dense.bias, bert.pooler.dense.w.*modules_to_save"):
        ClassifierLM(str(body), peft=lora("without"), device="cpu")
    with_pooler = lora("with", modules_to_save=["pooler"])
    first, second = (scores(ClassifierLM(str(body), peft=with_pooler, device="cpu")) for _ in range(2))
    assert torch.equal(first, second)


def test_adapters_of_other_bases_and_tasks_are_refused(finished, gpt2, lora, tmp_path):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    with pytest.raises(FinbenchError, match="was made for another base"):
        ClassifierLM(str(finished), peft=str(lora), device="cpu")
    causal = get_peft_model(AutoModelForCausalLM.from_pretrained(gpt2), LoraConfig(task_type="CAUSAL_LM"))
    causal.save_pretrained(tmp_path / "causal")
    with pytest.raises(FinbenchError, match="trained for CAUSAL_LM"):
        ClassifierLM(str(gpt2), peft=str(tmp_path / "causal"), device="cpu")


def test_an_adapter_that_does_not_fit_says_how(bert, lora, tmp_path):
    unnamed = shutil.copytree(lora, tmp_path / "unnamed")
    (unnamed / "finbench.json").unlink()
    with pytest.raises(FinbenchError, match=r"does not fit .*size mismatch.*write their names as `labels`"):
        ClassifierLM(str(bert), peft=str(unnamed), device="cpu")


@pytest.mark.parametrize("kind", ["load_in_8bit", "load_in_4bit"])
def test_quantised_bases_keep_their_head_whole(kind, bert, lora):
    lm = ClassifierLM(str(bert), peft=str(lora), device="cpu", **{kind: True})
    whole = scores(ClassifierLM(str(bert), peft=str(lora), device="cpu"))
    torch.testing.assert_close(scores(lm), whole, atol=0.3, rtol=0)
    assert not torch.equal(scores(lm), whole)
    assert type(lm.model.get_base_model().classifier.modules_to_save["default"]) is torch.nn.Linear


def test_what_a_classifier_cannot_do(finished):
    lm = ClassifierLM(str(finished), device="cpu")
    asked = [Instance("generate_until", {"id": "1"}, ("x", {}), 0, ("fin_xbrl_tags", 0, 1))]
    with pytest.raises(FinbenchError, match="fin_xbrl_tags generates its answers"):
        lm.generate_until(asked)
    with pytest.raises(FinbenchError, match="likelihood of text"):
        lm.loglikelihood_rolling(asked)
    for row in requests(classifier_text=[]), [Instance("loglikelihood", "a text", ("x", " yes"), 0, ("boolq", 0, 1))]:
        with pytest.raises(FinbenchError, match=r"no text for a classifier.*--model hf"):
            lm.loglikelihood(row)


def test_too_long_an_input_is_refused_or_reported(finished):
    texts = [("profit " * 600,), *TEXTS[:2]]
    with pytest.raises(FinbenchError, match=r"fin_fpb, row row-0: the input has \d+ tokens, the model reads 512"):
        scores(ClassifierLM(str(finished), device="cpu"), texts)
    lm = ClassifierLM(str(finished), truncate="report", device="cpu")
    assert scores(lm, texts).isfinite().all()
    assert lm.truncated_requests == {("fin_fpb", 0)}
    with pytest.raises(FinbenchError, match="outside the model's window"):
        ClassifierLM(str(finished), max_length=513, device="cpu")


def test_positions_of_roberta_start_behind_the_padding(bert):
    from transformers import AutoTokenizer, RobertaConfig, RobertaForSequenceClassification

    sizes = {"hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 1, "intermediate_size": 64}
    config = RobertaConfig(vocab_size=400, max_position_embeddings=40, pad_token_id=1, num_labels=3, **sizes)
    tokenizer = AutoTokenizer.from_pretrained(bert)
    lm = ClassifierLM(RobertaForSequenceClassification(config), tokenizer=tokenizer, labels=LABELS, truncate="report")
    assert lm.max_length == 38
    assert scores(lm, [("profit " * 60,)]).isfinite().all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"truncate": "cut"}, "truncate='cut' is unknown"),
        ({"batch_size": "many"}, "batch_size=many"),
        ({"parallelize": True}, "no argument parallelize"),
    ],
)
def test_wrong_arguments_are_named(finished, arguments, message):
    with pytest.raises(FinbenchError, match=message):
        ClassifierLM(str(finished), device="cpu", **arguments)


def test_a_base_that_is_not_there_is_named():
    with pytest.raises(FinbenchError, match="'owner/unknown' cannot be loaded"):
        ClassifierLM("owner/unknown", device="cpu")


@pytest.mark.slow
def test_plain_lm_eval_runs_it(bert, lora, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "lm_eval", "--model", "hf-classifier", "--model_args", f"pretrained={bert},peft={lora}",
         "--tasks", "fin_fpb", "--limit", "8", "--device", "cpu", "--output_path", str(tmp_path / "out")],
        cwd=tmp_path, text=True, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    [written] = (tmp_path / "out").rglob("results_*.json")
    found = json.loads(written.read_text())
    assert found["config"]["model_labels"] == list(LABELS)
    assert 0 <= found["results"]["fin_fpb"]["acc,none"] <= 1
