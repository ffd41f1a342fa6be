"""A pipeline's stages: cut from a model of any family, they are the model; a plan is what one device would run."""

import copy

import pytest
import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GemmaConfig,
    GemmaForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Olmo2Config,
    Olmo2ForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    SmolLM3Config,
    SmolLM3ForCausalLM,
    Starcoder2Config,
    Starcoder2ForCausalLM,
)

from finbench.engine.likelihood import Query, Scorer
from finbench.engine.model import SharedModel
from finbench.engine.pipeline.passes import Passes
from finbench.engine.pipeline.stage import Stage
from finbench.errors import FinbenchError
from finbench.hf.cut import SPLITTABLE, check_takes_hidden_states, cut, layers_of
from tests.models.test_fast import GPT2, GROUPED

FAMILIES = [
    (GPT2LMHeadModel, GPT2Config, {**GPT2, "n_layer": 3}),
    *(
        (model, config, {**GROUPED, "num_hidden_layers": 3})
        for model, config in (
            (LlamaForCausalLM, LlamaConfig),
            (MistralForCausalLM, MistralConfig),
            (Qwen2ForCausalLM, Qwen2Config),
            (Qwen3ForCausalLM, Qwen3Config),
            (GemmaForCausalLM, GemmaConfig),
            (Gemma2ForCausalLM, Gemma2Config),
            (Gemma3ForCausalLM, Gemma3TextConfig),
            (Phi3ForCausalLM, Phi3Config),
            (Olmo2ForCausalLM, Olmo2Config),
            (SmolLM3ForCausalLM, SmolLM3Config),
            (Starcoder2ForCausalLM, Starcoder2Config),
        )
    ),
]
# Prompts that share a beginning, two of them twice, and a stem worth a pass of its own.
QUERIES = [
    Query((*range(5, 140), *(word % 390 for word in range(row, row * 3 + 4)), row % 7, 9), 2)
    for row in (1, 4, 9, 4, 30)
]


class Composed(SharedModel):
    """All stages of a model in one process, one after the other."""

    def __init__(self, model: PreTrainedModel, count: int) -> None:
        super().__init__(model)
        self.stages = []
        for number in range(count):
            part = copy.deepcopy(model)
            cut(part, number, count)
            self.stages.append(Stage(part, number, count, torch.device("cpu")))

    def root(self) -> object:
        return [stage.root() for stage in self.stages]

    def run(self, tree, past, keep):
        caches, arrived = [], None
        for stage, kept in zip(self.stages, past, strict=True):
            stage.arrived = arrived
            arrived, cache = stage.run(tree, kept, keep)
            caches.append(cache)
        return arrived, caches


@pytest.mark.parametrize(("build", "config", "settings"), FAMILIES, ids=lambda value: getattr(value, "__name__", ""))
def test_stages_one_after_the_other_are_the_model(build, config, settings) -> None:
    torch.manual_seed(0)
    model = build(config(**settings)).eval()
    assert model.config.model_type in SPLITTABLE
    if model.config.model_type != "gpt2":
        try:
            check_takes_hidden_states(model, "it")
        except FinbenchError as error:
            pytest.skip(f"refused by name: {error}")
    whole = Scorer(SharedModel(model), 64).score(QUERIES)
    parts = Scorer(Composed(model, 3), 64).score(QUERIES)
    for (value, greedy), (expected, likeliest) in zip(parts, whole, strict=True):
        assert value == pytest.approx(expected, abs=1e-5) and greedy == likeliest
    assert len({round(value, 4) for value, _ in whole}) == 4  # the rows differ, so equality says something


def test_every_family_that_is_said_to_split_is_tried() -> None:
    assert {config(**settings).model_type for _, config, settings in FAMILIES} == SPLITTABLE


@pytest.mark.parametrize(("stages", "layers"), [(2, 2), (2, 5), (3, 7), (4, 80), (3, 3)])
def test_layers_are_shared_out_whole(stages: int, layers: int) -> None:
    parts = [layers_of(stage, stages, layers) for stage in range(stages)]
    assert [layer for part in parts for layer in part] == list(range(layers))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1 and len(parts[-1]) == min(map(len, parts))


def test_a_plan_is_what_one_device_would_run() -> None:
    model = LlamaForCausalLM(LlamaConfig(**GROUPED)).eval()
    shared = SharedModel(model)
    ran = []
    run = shared.run
    shared.run = lambda tree, past, keep: ran.append((tree, tuple(keep))) or run(tree, past, keep)
    Scorer(shared, 64).score(QUERIES)
    plan = Passes(QUERIES, 64, None)
    assert [(one.tree, tuple(sorted({read.slot for read in one.reads}))) for one in plan.passes] == ran
    assert sum(plan.finished.values()) == len(QUERIES) and plan.passes[0].past == -1
