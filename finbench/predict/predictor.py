"""A base with an adapter that labels texts: the same requests that scoring sends, turned into confidences."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finbench.errors import FinbenchError
from finbench.predict.calibration import softmax
from finbench.predict.loading import FLOATS, load
from finbench.scoring.kinds import kind_called

EQUAL = 1e-5  # of a share


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
    code of a model's repository is run. `base` may be a folder that `finbench export onnx` wrote. `bits` quantises by
    bitsandbytes, `int8` a classifier on a processor by `finbench.hf.int8`. `merge` folds the adapter into a float base,
    if that leaves the shares of a probe within 1e-5; `merged` and `precision` say what came of it.

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
        int8: bool = False,
        batch_size: int = 32,
        calibrated: bool = True,
        merge: bool = False,
    ) -> None:
        loaded = load(base, adapter, task, revision, trust_remote_code, bits, int8, batch_size, calibrated)
        self.lm, self.prompt = loaded.lm, loaded.prompt
        self.task_name, self.labels, self.kind = self.prompt.task, self.prompt.labels, self.prompt.kind
        self.temperature, self.precision, self.source = loaded.temperature, loaded.precision, loaded.source
        self.is_classifier = loaded.classifier
        self._try_out()
        self.merged = merge and not (bits or int8) and self._merge(loaded.reload)

    def _try_out(self) -> None:
        """Ask one text before the first real one.

        Raises:
            FinbenchError: model and task do not go together.

        """
        for one in self.predict_each(self._probes()[:1]):
            if isinstance(one, FinbenchError) and not self.prompt.until:
                raise one

    def _probes(self) -> list[str]:
        lines = [f"{label}. {label}" for label in self.labels] if self.kind == "multiple_choice" else []
        texts = ["A text that shows at once whether model and task go together.", "Profit fell.", "Sales rose. " * 40]
        return ["\n".join([text, *lines]) for text in texts]

    def _merge(self, reload: Callable[[], Any]) -> bool:
        """Fold the adapter into the base where that changes no share of a probe; say whether it was done."""
        from finbench.hf.bits import can_merge

        if self.prompt.until or not can_merge(self.lm.model):
            return False
        before = self.predict_each(self._probes())
        self.lm.fold_adapter()
        after = self.predict_each(self._probes())
        if all(_equal(old, new) for old, new in zip(before, after, strict=True)):
            return True
        self.lm = reload()
        return False

    @property
    def rounded(self) -> bool:
        """Return whether the weights are quantised, so that answers may be others than the float model's."""
        return self.precision not in FLOATS

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """Return the labels' log-likelihoods (N, L), in the order of `labels`; minus infinity for one not offered.

        Raises:
            FinbenchError: a text is too long for the model, or its scores are no numbers.

        """
        return self._logits([self.prompt.requests(text, number) for number, text in enumerate(texts)])

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
        asked = [self.prompt.requests(text, number) for number, text in enumerate(texts)]
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
                asked = self.prompt.requests(text, number)
                if not self.prompt.until:
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
        if self.prompt.until:
            return self._generated(asked)
        logits = self._logits(asked)
        shares = softmax(logits, self.temperature)
        return [self._prediction(*row) for row in zip(shares, np.isfinite(logits), strict=True)]

    def _generated(self, asked: Sequence[list[Any]]) -> list[Prediction | FinbenchError]:
        """Return what generated answers say, by the rules that they are scored by."""
        read = kind_called(self.prompt.kind).answer
        try:
            texts = self.lm.generate_until([row[0] for row in asked], disable_tqdm=True)
        finally:
            self.lm.forget()
        found: list[Prediction | FinbenchError] = []
        for row, text in zip(asked, texts, strict=True):
            said = read(row[0].doc, text)
            wrong = FinbenchError(f"the model's answer {text.strip()[:60]!r} is no {self.prompt.kind}.")
            found.append(Prediction(said, None, {}) if said else wrong)
        return found

    def _prediction(self, shares: np.ndarray, offered: np.ndarray) -> Prediction:
        scores = {label: float(shares[n]) for n, label in enumerate(self.labels) if offered[n]}
        best = self.labels[int(shares.argmax())]
        return Prediction(best, scores[best], scores)


def _equal(old: Prediction | FinbenchError, new: Prediction | FinbenchError) -> bool:
    """Return whether two answers are the same to `EQUAL`; what is too long for the model is so in both."""
    if isinstance(old, FinbenchError) or isinstance(new, FinbenchError):
        return isinstance(old, FinbenchError) and isinstance(new, FinbenchError)
    return all(abs(new.scores[label] - share) <= EQUAL for label, share in old.scores.items())


def load_several(base: str, adapters: Sequence[str], **options: Any) -> dict[str, Predictor]:
    """Return a predictor for each adapter by its folder's name, or one called `base`; they share the base's weights.

    One adapter alone is folded into its base where that changes nothing.

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
        found[name] = Predictor(base, adapter, merge=len(offered) == 1, **options)
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
