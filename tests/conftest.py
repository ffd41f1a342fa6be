"""Shared fixtures: a home of its own for every test, sample rows, tiny models built from a configuration."""

import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from tests import forked

# The same examples every time, so that a change is blamed for what it did; `tox -e slow` draws others.
settings.register_profile("same", derandomize=True, database=None)
settings.register_profile("drawn", database=None)
settings.load_profile("same")

# the files that take more than ten seconds, the longest first
LONGEST = (
    "tasks/test_kinds.py",
    "test_package.py",
    "server/test_hostile.py",
    "jobs/test_ray.py",
    "planner/test_plan.py",
    "finetune/test_every_family.py",
    "tasks/test_prompting.py",
    "finetune/test_methods.py",
    "server/test_soak.py",
    "test_quiet.py",
    "finetune/test_loop.py",
    "test_hook.py",
    "test_tutorial.py",
    "runs/test_changed.py",
    "runs/test_two_runs.py",
    "finetune/test_distributed.py",
    "finetune/test_train.py",
    "runs/test_run.py",
    "doctor/test_doctor.py",
    "leaderboard/test_gains.py",
)
WORDS = """instruction what is the sentiment of this news tweet please choose an answer from negative neutral positive
input yes no location person organization company profit loss rose fell sales year quarter shares market""".split()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no worker still has much to do when the other is done."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        rank = {name: place for place, name in enumerate(LONGEST)}
        items.sort(key=lambda item: rank.get(item.path.relative_to(Path(__file__).parent).as_posix(), len(rank)))


def pytest_collection_finish() -> None:
    """Spare the collector what was imported, a million objects: models and trainings have it run every time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point caches to a temporary folder and rows to the bundled sample: no test needs or touches the user's."""
    monkeypatch.setenv("FINBENCH_HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setenv("FINBENCH_DATA", "sample")
    monkeypatch.delenv("FINBENCH_TASKS", raising=False)


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is started by `sys.executable` be a fork: of an interpreter that need not import others' libraries."""
    monkeypatch.setattr(sys, "executable", forked.python())


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have trainings draw nothing, which is a third of a tiny one's time: for files that train dozens of times."""
    monkeypatch.setattr("finetune.plots.curves", lambda *_: None)
    monkeypatch.setattr("finetune.plots.confusions", lambda *_: None)


def build_tokenizer(folder: Path, bos: bool = False) -> Path:
    """Write a small byte-level BPE tokenizer that can encode any text; return its folder."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([" ".join(WORDS)] * 4, trainer)
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", model_max_length=1024
    )
    fast.save_pretrained(folder)
    return folder


def build_model(folder: Path, family: str = "gpt2", window: int = 1024, seed: int = 0, **config: object) -> Path:
    """Write a tiny randomly initialised model ("gpt2", "llama", "bert") with its tokenizer; return its folder."""
    import torch
    from transformers import BertConfig, BertModel, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    vocabulary = 400
    if family == "gpt2":
        model = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=vocabulary,
                n_positions=window,
                n_embd=32,
                n_layer=2,
                n_head=2,
                bos_token_id=1,
                eos_token_id=2,
                **config,
            )
        )
    elif family == "llama":
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=vocabulary,
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                max_position_embeddings=window,
                bos_token_id=1,
                eos_token_id=2,
                **config,
            )
        )
    elif family == "bert":
        model = BertModel(
            BertConfig(
                vocab_size=vocabulary,
                hidden_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=64,
                max_position_embeddings=min(window, 512),
                **config,
            )
        )
    else:
        raise ValueError(family)
    model.save_pretrained(folder)
    return build_tokenizer(folder, bos=family == "llama")


@pytest.fixture(scope="session")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a tiny GPT-2."""
    return build_model(tmp_path_factory.mktemp("gpt2"), "gpt2")


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a tiny Llama with grouped heads and a tokenizer that adds BOS."""
    return build_model(tmp_path_factory.mktemp("llama"), "llama")


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a tiny BERT body, without a classification head."""
    return build_model(tmp_path_factory.mktemp("bert"), "bert")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> "PreTrainedTokenizerFast":
    """Return the tokenizer of the tiny models, loaded."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(build_tokenizer(tmp_path_factory.mktemp("tokenizer")))
