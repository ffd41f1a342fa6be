"""Keeps what other libraries say at every start from a command's user; `finbench COMMAND -v` shows all of it.

Only the notices below are kept back, each by its logger or category and its first words, because each says what
finbench does on purpose or knows. Whatever else a library warns of is shown. Progress bars show from their third
second on; where there is no terminal, a line now and then takes their place, not every state.
"""

import logging
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

DELAY_SECONDS = 2.0  # bars of what takes less say nothing
LINE_SECONDS = 30.0  # between two lines of a bar in a log
SHORT_SECONDS = 10.0  # a bar of less than this leaves no line in a log


@dataclass(frozen=True)
class Notice:
    """A known notice: the logger that writes it (or the warning's category), how it begins, and why it says nothing."""

    source: str | type[Warning]
    begins: str
    why: str


NOTICES = (
    Notice(
        "bitsandbytes.backends.cpu.ops",
        "Failed to load CPU gemm_4bit_forward",
        "an optional kernel for 4 bits on processors, said at import whether or not bits are used",
    ),
    Notice(
        "bitsandbytes.autograd._functions",
        "MatMul8bitLt: inputs will be cast from",
        "what 8 bits are, said for every product of matrices",
    ),
    Notice(
        "transformers.modeling_utils", "`loss_type=None` was set in the config", "the default loss is the right one"
    ),
    Notice(
        "lm_eval.models.huggingface",
        "`pretrained` model kwarg is not of type `str`",
        "one model in memory serves all its adapters",
    ),
    Notice("lm_eval.models.huggingface", "Passed an already-initialized model through `pretrained`", "the same"),
    Notice(
        "lm_eval.api.task",
        r"\w+: Custom kwargs can be passed to `--metadata`",
        "said of every task that makes its own rows",
    ),
    Notice(
        FutureWarning,
        "`is_gradient_checkpointing` is deprecated",
        "PEFT to 0.21.2 asks transformers for it when it wraps a model",
    ),
)
# transformers' table of weights that it made up or left over. A new head in place of the pretraining's is what
# training and adapters are for, and finbench says where it is not; anything else in the table is shown.
REPORT = ("transformers.modeling_utils", "LOAD REPORT")
ROW = re.compile(r"^(\S+)\s*\|\s*(?:\x1b\[\d+m)*([A-Z]+)", re.MULTILINE)
HEAD = r"(^|\.)(classifier|pre_classifier|score|pooler|classification_head|sequence_summary|logits_proj)\b"
EXPECTED = {"MISSING": re.compile(HEAD), "UNEXPECTED": re.compile(HEAD + r"|^(cls|lm_head|lm_loss|vocab_\w+)\b")}

_inside = False


@contextmanager
def quiet(verbose: bool = False) -> Iterator[None]:
    """Keep known notices back and bars short within; the outermost call decides, and leaves nothing behind."""
    global _inside
    if verbose or _inside:
        outer, _inside = _inside, True
        try:
            yield
        finally:
            _inside = outer
        return
    _inside = True
    with ExitStack() as stack:
        stack.callback(_leave)
        for name in {*(notice.source for notice in NOTICES if isinstance(notice.source, str)), REPORT[0]}:
            logging.getLogger(name).addFilter(_tells_something)
            stack.callback(logging.getLogger(name).removeFilter, _tells_something)
        stack.enter_context(warnings.catch_warnings())
        for notice in NOTICES:
            if not isinstance(notice.source, str):
                warnings.filterwarnings("ignore", re.escape(notice.begins), notice.source)
        stack.enter_context(_short_bars())
        yield


def _leave() -> None:
    global _inside
    _inside = False


def _tells_something(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    if any(record.name == notice.source and re.match(_pattern(notice), message) for notice in NOTICES):
        return False
    return not (record.name == REPORT[0] and REPORT[1] in message and _is_new_head(message))


def _pattern(notice: Notice) -> str:
    return notice.begins if notice.begins.startswith(r"\w") else re.escape(notice.begins)


def _is_new_head(report: str) -> bool:
    rows = [(key, status) for key, status in ROW.findall(report) if key != "Key"]
    return bool(rows) and all(status in EXPECTED and EXPECTED[status].search(key) for key, status in rows)


class _Nowhere:
    """A file of which nothing is left."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        return None


@contextmanager
def _short_bars() -> Iterator[None]:
    from tqdm.std import tqdm

    before = {name: getattr(tqdm, name) for name in ("__init__", "display", "close")}
    for name, method in _bar_methods(**{name.strip("_"): method for name, method in before.items()}).items():
        setattr(tqdm, name, method)
    try:
        yield
    finally:
        for name, method in before.items():
            setattr(tqdm, name, method)


def _bar_methods(init: Callable[..., None], display: Callable[..., Any], close: Callable[..., None]) -> dict[str, Any]:
    """Return tqdm's methods, with bars delayed, and as lines where their file is no terminal."""

    def start(bar: Any, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("delay", DELAY_SECONDS)
        target = kwargs.get("file") or sys.stderr
        if len(args) < 5 and target in (sys.stderr, sys.stdout) and not target.isatty():
            kwargs["file"] = _Nowhere()
            bar.log, bar.began, bar.said = target, time.monotonic(), None
        init(bar, *args, **kwargs)

    def show(bar: Any, msg: str | None = None, pos: int | None = None) -> Any:
        if getattr(bar, "log", None) is None:
            return display(bar, msg, pos)
        if time.monotonic() - (bar.said or bar.began) >= LINE_SECONDS:
            _say(bar)
        return True

    def end(bar: Any) -> None:
        log = getattr(bar, "log", None)
        if log is not None and not bar.disable and (bar.said or time.monotonic() - bar.began >= SHORT_SECONDS):
            _say(bar)
        bar.log = None if log is None else _Nowhere()
        close(bar)

    return {"__init__": start, "display": show, "close": end}


def _say(bar: Any) -> None:
    """Write how far a bar is, as a line."""
    bar.said = time.monotonic()
    known = "{n_fmt}/{total_fmt} {unit} [{elapsed}<{remaining}]" if bar.total else "{n_fmt} {unit} [{elapsed}]"
    name = f"{bar.desc.rstrip(': ')}: " if bar.desc else ""
    line = name + bar.format_meter(**{**bar.format_dict, "prefix": "", "bar_format": known, "ncols": None})
    bar.log.write(f"{line.strip()}\n")
    bar.log.flush()
