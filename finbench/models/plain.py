"""lm-eval's own `hf` in a run: the same scoring, with too long an input refused or counted where `hf` only warns."""

from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from finbench.errors import FinbenchError
from finbench.hf.bits import keep_layout
from finbench.hf.generation import check_generation
from finbench.hf.load import check_bare
from finbench.hf.wrapped import base_of, virtual_tokens
from finbench.models.loading import whole_checkpoints, window_of
from finbench.models.pair import check_has_tokens, row_of
from finbench.records import Truncate


class PlainLM(HFLM):
    """`HFLM` that knows how long its inputs are; `truncated_requests` holds (task, number of the row)."""

    def __init__(self, *args: Any, truncate: Truncate = "refuse", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        check_bare(base_of(self.model), str(self.pretrained))
        keep_layout(self.model)
        self.truncate = truncate
        self.truncated_requests: set[tuple[str, int]] = set()

    def _create_model(self, *args: Any, **kwargs: Any) -> None:
        with whole_checkpoints(self):
            super()._create_model(*args, **kwargs)

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Return (log-likelihood, whether greedy decoding gives the answer) for each request."""
        for request in requests:
            context, answer = self._encode_pair(*request.args)
            check_has_tokens(answer, request.args[1], request.task_name, row_of(request))
            self._check(request, len(context) + len(answer) - 1, 0)  # the last token is only predicted
        answers: list[tuple[float, bool]] = super().loglikelihood(requests, disable_tqdm=disable_tqdm)
        return answers

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Return the text that follows each context, cut at its stop strings."""
        for request in requests:
            new_tokens = int(request.args[1].get("max_gen_toks", self.max_gen_toks))
            self._check(request, len(self.tok_encode(request.args[0])) + new_tokens, new_tokens)
        check_generation(self.model)
        texts: list[str] = super().generate_until(requests, disable_tqdm=disable_tqdm)
        return texts

    def _check(self, request: Instance, length: int, new_tokens: int) -> None:
        window = window_of(self) - virtual_tokens(self.model)
        if length <= window:
            return
        if self.truncate == "refuse":
            beside = f" with an answer of up to {new_tokens}" if new_tokens else ""
            raise FinbenchError(
                f"{request.task_name}, row {row_of(request)}: {length} tokens{beside}, but the model's window is "
                f"{window}. Choose a base with a longer window, or truncate: report."
            )
        self.truncated_requests.add((str(request.task_name), int(request.doc_id or 0)))
