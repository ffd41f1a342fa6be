"""lm-eval's `vllm` in a run: the same scoring, with too long an input refused or counted where `vllm` only warns."""

from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.models.vllm_causallms import VLLM

from finbench.errors import FinbenchError
from finbench.models.pair import check_has_tokens, row_of
from finbench.records import Truncate


class VllmLM(VLLM):
    """`VLLM` that knows how long its inputs are; `truncated_requests` holds (task, number of the row)."""

    def __init__(self, *args: Any, truncate: Truncate = "refuse", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.truncate = truncate
        self.truncated_requests: set[tuple[str, int]] = set()

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Return (log-likelihood, whether greedy decoding gives the answer) for each request."""
        for request in requests:
            context, answer = self._encode_pair(*request.args)
            check_has_tokens(answer, request.args[1], request.task_name, row_of(request))
            self._check(request, len(context) + len(answer), 1)  # vLLM writes a token, asked for or not
        answers: list[tuple[float, bool]] = super().loglikelihood(requests, disable_tqdm=disable_tqdm)
        return answers

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Return the text that follows each context, cut at its stop strings."""
        for request in requests:
            new_tokens = int(request.args[1].get("max_gen_toks", self.max_gen_toks))
            self._check(request, len(self.tok_encode(request.args[0])), new_tokens)
        texts: list[str] = super().generate_until(requests, disable_tqdm=disable_tqdm)
        return texts

    def log_probabilities(self, tokens: list[int]) -> list[float]:
        """Return the log-probability (nats) of each token but the first, given those before it."""
        places = [(None, tokens[:place], [tokens[place]]) for place in range(1, len(tokens))]
        return [value for value, _ in self._loglikelihood_tokens(places, disable_tqdm=True)]

    def _check(self, request: Instance, length: int, new_tokens: int) -> None:
        if length + new_tokens <= self.max_length:
            return
        if self.truncate == "refuse":
            raise FinbenchError(
                f"{request.task_name}, row {row_of(request)}: {length} tokens with an answer of up to {new_tokens}, "
                f"but the model's window is {self.max_length}. Choose a base with a longer window, a larger "
                "max_model_len if the base allows it, or truncate: report."
            )
        self.truncated_requests.add((str(request.task_name), int(request.doc_id or 0)))
