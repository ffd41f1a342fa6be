"""A task as a run scores it: its rows and prompts, hashed for the key, and its requests, built once for all models."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from finbench.data.perturb import NONE, check_dataset, key_of
from finbench.errors import FinbenchError
from finbench.records import Outcome, Row
from finbench.tasks.prompting import PLAIN, Prompting


@dataclass(frozen=True)
class ScoredTask:
    """One lm-eval task with its rows; `labels` is empty where an answer is not made of labels.

    `generates` says that answers are generated, which a classifier cannot do; `n_rows` counts the rows to be scored.
    `perturb` is the key's word for how texts were changed, `perturbed_share` the share of rows that it changed.
    """

    name: str
    task: Any
    labels: tuple[str, ...]
    kind: str
    generates: bool
    version: str
    source: str
    rows_sha256: str
    prompt_sha256: str
    num_fewshot: int
    n_rows: int
    prompting: Prompting = PLAIN
    perturb: str = NONE
    perturbed_share: float | None = None
    _of_model: list[Any] = field(default_factory=list, compare=False, repr=False)

    @cached_property
    def _plain(self) -> list[Any]:
        return self._rendered(None)

    def requests(self, lm: Any) -> list[Any]:
        """Return lm-eval's requests, rendered once for all models, or with a chat template for each."""
        if not self.prompting.chat_template:
            return self._plain
        if self._of_model[:1] != [id(lm)]:  # the last model's are kept: they are rendered before the clock starts
            self._of_model[:] = [id(lm), self._rendered(lm)]
        found: list[Any] = self._of_model[1]
        return found

    def _rendered(self, lm: Any) -> list[Any]:
        from itertools import islice

        docs = enumerate(islice(self.task.eval_docs, self.n_rows))
        return [one for number, doc in docs for one in self.prompting.requests(self.task, doc, number, lm)]

    def score(self, lm: Any) -> list[Outcome]:
        """Return the outcome of every row by the given lm-eval model.

        Raises:
            FinbenchError: an input is too long, or an answer means nothing.

        """
        from finbench.scoring.kinds import kind_called

        requests = self.requests(lm)
        for request in requests:  # nothing of an earlier model may be read as this one's answer
            request.resps, request.filtered_resps = [], {}
        answers = getattr(lm, requests[0].request_type)(requests)
        for request, answer in zip(requests, answers, strict=True):
            request.resps.append(answer)
        self.task._instances = requests
        self.task.apply_filters()
        read = kind_called(self.kind).read
        return [read(doc, results) for doc, results in _by_row(requests)]


def _by_row(requests: Iterable[Any]) -> list[tuple[Any, list[Any]]]:
    """Return each row's doc with the answers to its requests, in the order of lm-eval."""
    rows: dict[int, list[Any]] = {}
    for request in requests:
        rows.setdefault(request.doc_id, []).append(request)
    found = []
    for group in rows.values():
        ordered = sorted(group, key=lambda request: request.idx)
        found.append((ordered[0].doc, [next(iter(request.filtered_resps.values())) for request in ordered]))
    return found


def scored_tasks(
    names: Sequence[str], limit: int | None, clean: bool, prompting: Prompting = PLAIN
) -> dict[str, ScoredTask]:
    """Return the tasks of these names (groups stand for their tasks) with their rows, by name.

    Raises:
        FinbenchError: a name is unknown, rows cannot be had, or a task is not scored by finbench's rules.

    """
    from finbench.tasks.load import load_tasks

    loaded = load_tasks(names, metadata={"clean": True} if clean else None)
    return {name: _scored_task(name, task, limit, prompting) for name, task in loaded.items()}


def with_perturbations(
    names: Sequence[str], limit: int | None, clean: bool, perturb: Sequence[str], prompting: Prompting = PLAIN
) -> tuple[dict[str, dict[tuple[str, str], ScoredTask]], list[str]]:
    """Return for each name its scored tasks by task and perturbation, and in words which of them there are not.

    Raises:
        FinbenchError: as `scored_tasks`.

    """
    plain = {name: scored_tasks([name], limit, clean, prompting) for name in names}
    found: dict[tuple[str, str], ScoredTask] = {}
    refused: dict[tuple[str, str], list[str]] = {}
    for name, task in {name: task for tasks in plain.values() for name, task in tasks.items()}.items():
        for kind in perturb:
            try:
                found[name, kind] = task if kind == NONE else perturbed_task(task, kind, clean)
            except FinbenchError as error:
                refused.setdefault((name, str(error)), []).append(kind)
    of_name = {
        name: {place: task for place, task in found.items() if place[0] in tasks} for name, tasks in plain.items()
    }
    return of_name, [f"{name}, perturbed ({', '.join(kinds)}): {why}" for (name, why), kinds in refused.items()]


def perturbed_task(plain: ScoredTask, kind: str, clean: bool) -> ScoredTask:
    """Return a task with its test texts perturbed; rows, shot and prompt are the same, and so are their hashes.

    Raises:
        FinbenchError: the task's texts cannot be perturbed, or none of them would change.

    """
    from finbench.scoring.kinds import kind_called
    from finbench.tasks.load import load_tasks

    check_dataset(plain.task.config.dataset_kwargs["dataset"])
    if not kind_called(plain.kind).classes:
        raise FinbenchError(f"texts of kind {plain.kind!r} are not perturbed, since their answers quote them.")
    metadata = {"perturb": kind, **({"clean": True} if clean else {})}
    task = load_tasks([plain.name], metadata=metadata)[plain.name]
    texts = (list(one.eval_docs["text"])[: plain.n_rows] for one in (plain.task, task))
    changed = sum(before != after for before, after in zip(*texts, strict=True))
    if not changed:
        raise FinbenchError("no text would change.")
    return replace(plain, task=task, perturb=key_of(kind), perturbed_share=changed / plain.n_rows)


def _scored_task(name: str, task: Any, limit: int | None, prompting: Prompting) -> ScoredTask:
    from finbench.data.load import load, rows_sha256
    from finbench.tasks.load import kind_of, prompt_sha256

    config = task.config
    kind = kind_of(name, task)
    rows = load(**config.dataset_kwargs)
    test = rows.splits["test"][:limit]
    _check_same_rows(name, task, test, rows.settings)
    return ScoredTask(
        name=name,
        task=task,
        labels=rows.labels,
        kind=kind.name,
        generates=config.output_type == "generate_until",
        version=str((config.metadata or {}).get("version", "")),
        source=rows.source,
        rows_sha256=rows_sha256(test),
        prompt_sha256=prompt_sha256(task, prompting),
        num_fewshot=prompting.shots(task),
        n_rows=len(test),
        prompting=prompting,
    )


def _check_same_rows(name: str, task: Any, hashed: Sequence[Row], settings: str) -> None:
    """Refuse rows of a user's file that was written between its two readings: what is scored is what was hashed."""
    config = task.config
    if config.dataset_kwargs["dataset"] != "file":  # others are read once
        return
    from finbench.data.load import as_table, cleaned

    made = cleaned(hashed) if (config.metadata or {}).get("clean") else hashed
    labels = max(task.eval_docs["choices"], key=len) if len(task.eval_docs) else ()
    if as_table(made, labels, settings).to_list() != task.eval_docs.to_list()[: len(hashed)]:
        raise FinbenchError(
            f"the rows of {name} changed while they were read: wait until their file is whole, and run again."
        )
