"""One base in memory for all its adapters: causal models through lm-eval's types, classifiers sharing one encoder."""

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import torch

from finbench.adapters.on_model import Proof, Switch, probe, same_bits
from finbench.hf.bits import KEEP_HEADS, bits_config, say_bits
from finbench.hf.classes import class_names, name_classes
from finbench.hf.load import lacking, load_model, load_tokenizer, refusing
from finbench.runs.bases.settings import causal_settings
from finbench.runs.matrix import Base, Matrix
from finbench.runs.monitor import Monitor

if TYPE_CHECKING:
    from finbench.adapters.folder import Adapter
    from finbench.runs.bases.pipelined import StagesMonitor


class LoadedBase(Protocol):
    """What a run asks of a base in memory."""

    @property
    def lm(self) -> Any:
        """The lm-eval model, with the adapter in effect that was put on last."""

    def put_on(self, adapter: "Adapter") -> Proof:
        """Put an adapter on, and prove that it is in effect."""

    def take_off(self) -> None:
        """Take it off, or clear away what a failed `put_on` left."""

    def monitor(self) -> "Monitor | StagesMonitor":
        """Return what measures all processes of the model while its `with` block runs."""


def load_base(base: Base, matrix: Matrix) -> LoadedBase:
    """Load a base once.

    Raises:
        FinbenchError: its weights cannot be had.

    """
    loaded: Callable[[Base, Matrix], LoadedBase] = CausalBase
    if base.model == "hf-classifier":
        loaded = ClassifierBase
    elif base.model == "vllm":
        from finbench.runs.bases.vllm import VllmBase as loaded
    elif base.pipeline:
        from finbench.runs.bases.pipelined import PipelinedBase as loaded
    with refusing(base.base):
        return loaded(base, matrix)


class CausalBase:
    """A language model; adapters are put on the one lm-eval model, which keeps the rows it has tokenised."""

    monitor = Monitor

    def __init__(self, base: Base, matrix: Matrix) -> None:
        self._base, self._matrix = base, matrix
        self._load()

    def _load(self) -> None:
        base, matrix = self._base, self._matrix
        settings = causal_settings(base, matrix)
        if base.model == "hf":
            from finbench.models.plain import PlainLM

            self.lm: Any = PlainLM(**settings, truncate=matrix.truncate)
        else:
            from finbench.models.fast import FastLM

            self.lm = FastLM(**settings, truncate=matrix.truncate, strict=matrix.strict)
        self._switch = Switch(self.lm.model)

    def put_on(self, adapter: "Adapter") -> Proof:
        """Put an adapter on, and prove that it is in effect."""
        # lm-eval has no way to exchange the model of an `LM`; it reads this attribute at every request.
        self.lm._model = self._switch.put_on(adapter.path)
        return self._switch.proof()

    def take_off(self) -> None:
        """Take the adapter off; should the base differ by a bit from before, load it anew."""
        self.lm._model = self._switch.model
        if not self._switch.take_off():
            self._load()


class ClassifierBase:
    """A classifier: every adapter comes with its own head, and all of them share the encoder's weights."""

    monitor = Monitor

    def __init__(self, base: Base, matrix: Matrix) -> None:
        self._base, self._matrix = base, matrix
        self._load()

    def _load(self) -> None:
        base = self._base
        where = (base.base, base.revision, base.trust_remote_code)
        self._tokenizer = load_tokenizer(*where)
        options: dict[str, Any] = {"dtype": base.dtype}
        if base.bits:
            options["quantization_config"] = bits_config(base.bits == 8, base.bits == 4, KEEP_HEADS)
        model, info = load_model("AutoModelForSequenceClassification", *where, output_loading_info=True, **options)
        self._untrained = lacking(info)
        if not base.bits and torch.cuda.is_available():
            model = model.to("cuda")
        self._model = model.eval()
        self._logits = probe(self._model)
        self._switch: Switch | None = None
        self._own_lm = self._wrap(self._model, class_names(self._model.config))
        self.lm: Any = self._own_lm

    def _wrap(self, model: Any, labels: tuple[str, ...]) -> Any:
        from finbench.models.classifier import ClassifierLM

        matrix = self._matrix
        return ClassifierLM(
            pretrained=model,
            tokenizer=self._tokenizer,
            labels=labels,
            batch_size=matrix.batch_size,
            truncate=matrix.truncate,
        )

    def put_on(self, adapter: "Adapter") -> Proof:
        """Put an adapter on a shell of its number of labels around the shared encoder, and prove it is in effect."""
        self._switch = Switch(self._shell(adapter.labels))
        self.lm = self._wrap(self._switch.put_on(adapter.path), adapter.labels)
        return self._switch.proof()

    def take_off(self) -> None:
        """Take the adapter off; should the encoder differ by a bit from before, load it anew."""
        self.lm = self._own_lm
        if self._switch is not None:
            self._switch.take_off()
            # The shell's own head is no number, so the encoder is proved through the head that was loaded with it.
            if not same_bits(probe(self._model), self._logits):
                self._load()
        self._switch = None

    def _shell(self, labels: tuple[str, ...]) -> Any:
        """Return a classifier with these labels around the shared encoder; what the base's head lacks is no number."""
        config = name_classes(copy.deepcopy(self._model.config), labels)
        with torch.device("meta"):
            shell = type(self._model)(config)
        name = shell.base_model_prefix
        encoder = getattr(self._model, name)
        for child, module in shell.named_children():
            if child != name:
                setattr(shell, child, module.to_empty(device=self._model.device).to(self._model.dtype))
        own = dict(self._model.named_parameters())
        for parameter_name, weight in shell.named_parameters():
            if parameter_name.startswith(f"{name}."):
                continue
            theirs = own.get(parameter_name)
            if theirs is None or theirs.shape != weight.shape or parameter_name in self._untrained:
                torch.nn.init.constant_(weight, torch.nan)
            else:
                weight.data = theirs.data.clone()  # a part of the head that the base has, such as ModernBERT's
        setattr(shell, name, encoder)
        say_bits(self._model, shell)
        return shell.eval()
