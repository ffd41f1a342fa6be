"""A base with an adapter that labels texts: the same requests that scoring sends, turned into confidences."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finbench.errors import FinbenchError
from finbench.predict.calibration import read_temperature

DEFAULT_TASK = "fin_fpb"


@dataclass(frozen=True)
class Prediction:
    """A text's label, how sure the model is of it (0 to 1), and every label's share; the shares sum to 1."""

    label: str
    confidence: float
    scores: dict[str, float]


class Predictor:
    """Any base and adapter that the harness scores; a causal model is asked through the task's prompt.

    `task` is the adapter's first, else `fin_fpb`. Safetensors only; no code of a model's repository is run.

    Raises:
        FinbenchError: base, adapter or task cannot be had, they do not go together, or the task needs more than a text.

    """

    def __init__(
        self,
        base: str,
        adapter: str | None = None,
        task: str | None = None,
        revision: str | None = None,
        trust_remote_code: bool = False,
        bits: int | None = None,
        batch_size: int = 32,
        calibrated: bool = True,
    ) -> None:
        from finbench.adapters.folder import match_base, read_adapter
        from finbench.tasks.load import load_tasks

        made = read_adapter(adapter) if adapter else None
        if made is not None:
            match_base(made, base, revision)
        trained_on = list(made.record.get("tasks", [])) if made is not None else []
        chosen = task or (trained_on[0] if trained_on else DEFAULT_TASK)
        self.task_name, self._task = next(iter(load_tasks([chosen]).items()))
        self._template = _template(self.task_name, self._task)
        self.labels: tuple[str, ...] = tuple(self._template["choices"])
        options: dict[str, Any] = {"revision": revision or "main", "batch_size": batch_size}
        options["trust_remote_code"] = trust_remote_code
        options |= {f"load_in_{bits}bit": True} if bits else {}
        self.lm = _load(base, str(made.path) if made is not None else None, made, options)
        self.temperature = read_temperature(made.path, made.sha256, self.task_name) if made and calibrated else 1.0
        self.predict(["A text that shows at once whether model and task go together."])

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """Return the labels' log-likelihoods (N, L), in the order of `labels`.

        Raises:
            FinbenchError: a text is too long for the model, or its scores are no numbers.

        """
        shots = self._task.config.num_fewshot or 0
        flat = []
        for number, text in enumerate(texts):
            doc = {**self._template, "id": f"text {number + 1}", "text": text, "classifier_text": [text]}
            context = self._task.fewshot_context(doc, shots)
            flat += self._task.construct_requests(doc, context, doc_id=number, metadata=(self.task_name, number, 1))
        answers = self.lm.loglikelihood(flat, disable_tqdm=True)
        found = np.array([score for score, _ in answers]).reshape(len(texts), len(self.labels))
        if not np.isfinite(found).all():
            raise FinbenchError("the model's scores are no numbers: it is broken at this precision.")
        return found

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Return a prediction for each text.

        Raises:
            FinbenchError: see `logits`.

        """
        if not texts:
            return []
        scaled = self.logits(texts) / self.temperature
        shares = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        return [self._prediction(row) for row in shares]

    def predict_each(self, texts: Sequence[str]) -> list[Prediction | FinbenchError]:
        """Return a prediction, or what is wrong, for each text: one that cannot be read costs no other its answer."""
        try:
            return list(self.predict(texts))
        except FinbenchError as error:
            if len(texts) == 1:
                return [error]
        return [found for text in texts for found in self.predict_each([text])]

    def _prediction(self, shares: np.ndarray) -> Prediction:
        scores = {label: float(share) for label, share in zip(self.labels, shares, strict=True)}
        best = self.labels[int(shares.argmax())]
        return Prediction(best, scores[best], scores)


def _template(name: str, task: Any) -> dict[str, Any]:
    """Return a row of the task, whose text is exchanged for the user's."""
    doc = dict(task.eval_docs[0])
    if task.config.output_type != "multiple_choice" or not doc["choices"]:
        raise FinbenchError(f"task {name!r} does not choose between labels; give a task such as {DEFAULT_TASK}.")
    if doc.get("entity") or doc.get("xml") or len(doc.get("classifier_text") or [""]) > 1:
        raise FinbenchError(f"task {name!r} asks about more than a text alone; give a task such as {DEFAULT_TASK}.")
    return doc


def _load(base: str, peft: str | None, made: Any, options: dict[str, Any]) -> Any:
    """Return hf-classifier or hf-fast around the base, whichever the adapter (or the base's own head) is for."""
    from finbench.hf.classes import own_classes
    from finbench.hf.load import load_config

    options = {**options, "use_safetensors": True}  # a pickle can run code as it is read
    own = own_classes(load_config(base, options["revision"], options["trust_remote_code"]))
    if made.task_type == "SEQ_CLS" if made is not None else own:
        from finbench.models.classifier import ClassifierLM

        return ClassifierLM(pretrained=base, peft=peft, **options)
    from finbench.models.fast import FastLM

    return FastLM(pretrained=base, peft=peft, **options)


def load_several(base: str, adapters: Sequence[str], **options: Any) -> dict[str, Predictor]:
    """Return a predictor for each adapter by its folder's name, or one called `base`; they share the base's weights.

    Raises:
        FinbenchError: two adapters have the same name, or one cannot be loaded.

    """
    found: dict[str, Predictor] = {}
    known: dict[Any, list[Any]] = {}
    offered: list[str | None] = [*adapters] or [None]
    for adapter in offered:
        name = Path(adapter).resolve().name if adapter else "base"
        if name in found:
            raise FinbenchError(f"two adapters are called {name!r}; rename the folder of one.")
        found[name] = Predictor(base, adapter, **options)
        _share(found[name].lm.model, known)
    return found


def _share(model: Any, known: dict[Any, list[Any]]) -> None:
    """Let the model's weights that equal ones of an earlier model lie where those do, so that a base is held once."""
    import torch

    for weight in model.parameters():
        if weight.numel() < 4096 or not weight.is_floating_point():
            continue
        alike = known.setdefault((weight.shape, weight.dtype, weight.device, float(weight.flatten()[:64].sum())), [])
        for other in alike:
            if torch.equal(other, weight):
                weight.data = other
                break
        else:
            alike.append(weight.data)
