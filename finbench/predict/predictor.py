"""A base with an adapter that labels texts: the same requests that scoring sends, turned into confidences."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finbench.adapters.folder import RECORD
from finbench.errors import FinbenchError
from finbench.predict.calibration import read_temperature, softmax
from finbench.predict.prompt import Prompt, first_of, for_classifier, prompt_of, recorded
from finbench.scoring.kinds import kind_called

DEFAULT_TASK = "fin_fpb"


@dataclass(frozen=True)
class Prediction:
    """A text's label, how sure the model is of it (0 to 1), and every label's share; the shares sum to 1.

    An answer that was generated has no confidence and no shares.
    """

    label: str
    confidence: float | None
    scores: dict[str, float]


class Predictor:
    """Any base and adapter that the harness scores; a causal model is asked through the task's prompt.

    `task` is the adapter's first, else `fin_fpb`. Labels and prompt are those that lie beside the adapter; a task's
    rows are read only where a language model has none (its prompt holds one of them as its shot). Safetensors only; no
    code of a model's repository is run.

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

        made = read_adapter(adapter) if adapter else None
        if made is not None:
            match_base(made, base, revision)
        options: dict[str, Any] = {"revision": revision or "main", "batch_size": batch_size}
        options["trust_remote_code"] = trust_remote_code
        options |= {f"load_in_{bits}bit": True} if bits else {}
        classifier = _is_classifier(base, made, options)
        prompt = _recorded_prompt(made, task)
        if prompt is None and not classifier:  # before the weights, which take longer
            prompt = _prompt_of_task(_chosen(made, task))
        self.lm = _load(base, str(made.path) if made is not None else None, classifier, options)
        self.lm.forget()  # before the first text: the tokenizer keeps none from now on
        if prompt is None:
            labels = made.labels if made is not None and made.labels else self.lm.class_names()
            prompt = for_classifier(_chosen(made, task), labels)
        self._prompt, self.task_name, self.labels = prompt, prompt.task, prompt.labels
        self.kind = prompt.kind
        self.temperature = read_temperature(made.path, made.sha256, self.task_name) if made and calibrated else 1.0
        lines = [f"{label}. {label}" for label in self.labels] if prompt.kind == "multiple_choice" else []
        probe = "\n".join(["A text that shows at once whether model and task go together.", *lines])
        for one in self.predict_each([probe]):
            if isinstance(one, FinbenchError) and not prompt.until:
                raise one

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """Return the labels' log-likelihoods (N, L), in the order of `labels`; minus infinity for one not offered.

        Raises:
            FinbenchError: a text is too long for the model, or its scores are no numbers.

        """
        return self._logits([self._prompt.requests(text, number) for number, text in enumerate(texts)])

    def _logits(self, asked: Sequence[list[Any]]) -> np.ndarray:
        try:
            answers = self.lm.loglikelihood([request for row in asked for request in row], disable_tqdm=True)
        finally:
            self.lm.forget()  # a service keeps no text
        scores = iter(score for score, _ in answers)
        found = np.full((len(asked), len(self.labels)), -np.inf)
        for place, row in enumerate(asked):
            found[place, : len(row)] = [next(scores) for _ in row]
            if not np.isfinite(found[place, : len(row)]).all():
                raise FinbenchError("the model's scores are no numbers: it is broken at this precision.")
        return found

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Return a prediction for each text.

        Raises:
            FinbenchError: see `logits`; or an answer that was generated cannot be read.

        """
        asked = [self._prompt.requests(text, number) for number, text in enumerate(texts)]
        found = self._answers(asked) if asked else []
        for one in found:
            if isinstance(one, FinbenchError):
                raise one
        return [one for one in found if isinstance(one, Prediction)]

    def predict_each(self, texts: Sequence[str]) -> list[Prediction | FinbenchError]:
        """Return a prediction, or what is wrong, for each text: one that cannot be read costs no other its answer.

        Too long ones are found before the others run together.
        """
        found: dict[int, Prediction | FinbenchError] = {}
        fit: dict[int, list[Any]] = {}
        for number, text in enumerate(texts):
            try:
                asked = self._prompt.requests(text, number)
                if not self._prompt.until:
                    self.lm.check(asked)
                fit[number] = asked
            except FinbenchError as error:
                found[number] = error.with_traceback(None)  # whose frames hold the texts
        found.update(zip(fit, self._each(list(fit.values())), strict=True))
        return [found[number] for number in range(len(texts))]

    def _each(self, asked: Sequence[list[Any]]) -> list[Prediction | FinbenchError]:
        """Answer all together; where that fails, halve until those that cannot be answered stand alone."""
        if not asked:
            self.lm.forget()
            return []
        try:
            return self._answers(asked)
        except FinbenchError as error:
            if len(asked) == 1:
                return [error.with_traceback(None)]
        middle = len(asked) // 2
        return [*self._each(asked[:middle]), *self._each(asked[middle:])]

    def _answers(self, asked: Sequence[list[Any]]) -> list[Prediction | FinbenchError]:
        if self._prompt.until:
            return self._generated(asked)
        logits = self._logits(asked)
        shares = softmax(logits, self.temperature)
        return [self._prediction(*row) for row in zip(shares, np.isfinite(logits), strict=True)]

    def _generated(self, asked: Sequence[list[Any]]) -> list[Prediction | FinbenchError]:
        """Return what generated answers say, by the rules that they are scored by."""
        read = kind_called(self._prompt.kind).answer
        try:
            texts = self.lm.generate_until([row[0] for row in asked], disable_tqdm=True)
        finally:
            self.lm.forget()
        found: list[Prediction | FinbenchError] = []
        for row, text in zip(asked, texts, strict=True):
            said = read(row[0].doc, text)
            wrong = FinbenchError(f"the model's answer {text.strip()[:60]!r} is no {self._prompt.kind}.")
            found.append(Prediction(said, None, {}) if said else wrong)
        return found

    def _prediction(self, shares: np.ndarray, offered: np.ndarray) -> Prediction:
        scores = {label: float(shares[n]) for n, label in enumerate(self.labels) if offered[n]}
        best = self.labels[int(shares.argmax())]
        return Prediction(best, scores[best], scores)


def _chosen(made: Any, task: str | None) -> str:
    """Return the task that is asked: the given one, the adapter's first, or the default; of a group, its first."""
    trained_on = list(made.record.get("tasks", [])) if made is not None else []
    return first_of(task or (str(trained_on[0]) if trained_on else DEFAULT_TASK))


def _recorded_prompt(made: Any, task: str | None) -> Prompt | None:
    """Return the prompt that lies beside the adapter."""
    if made is None or not made.record.get("prompts"):
        return None
    return recorded(made.record, _chosen(made, task), made.path / RECORD)


def _prompt_of_task(name: str) -> Prompt:
    """Return a task's prompt from the task itself, whose shot is one of its rows."""
    from finbench.tasks.load import load_tasks

    return prompt_of(name, load_tasks([name])[name])


def _is_classifier(base: str, made: Any, options: dict[str, Any]) -> bool:
    """Return whether the adapter, or else the base's own head, chooses between classes."""
    from finbench.hf.classes import own_classes
    from finbench.hf.load import load_config

    if made is not None:
        return bool(made.task_type == "SEQ_CLS")
    return bool(own_classes(load_config(base, options["revision"], options["trust_remote_code"])))


def _load(base: str, peft: str | None, classifier: bool, options: dict[str, Any]) -> Any:
    """Return hf-classifier or hf-fast around the base."""
    from finbench.hf.load import gguf_of

    place, gguf = gguf_of(base)
    options = {**options, **gguf, "use_safetensors": True}  # a pickle can run code as it is read
    if classifier:
        from finbench.models.classifier import ClassifierLM

        return ClassifierLM(pretrained=base, peft=peft, **options)
    from finbench.models.fast import FastLM

    return FastLM(pretrained=place, peft=peft, **options)


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
