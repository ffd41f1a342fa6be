"""What a reader must know of one score before believing it, and no number shows."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from finbench.cells.key import Cell
from finbench.cells.order import in_future
from finbench.documents import read_yaml
from finbench.leaderboard.disturbed import remarks
from finbench.leaderboard.paired import Outcomes, accuracy_interval, constant_answer
from finbench.leaderboard.training import record_of, sources_of_training

KNOWN = Path(__file__).with_name("known.yaml")


@lru_cache(maxsize=1)
def _known() -> dict[str, Any]:
    return read_yaml(KNOWN)


def flags(cell: Cell) -> list[str]:
    """Return the remarks on a cell, gravest first; none of them needs the rows' outcomes."""
    found = []
    if cell.missing:
        found.append(f"imported, without proof of {', '.join(cell.missing)}")
    if in_future(cell):
        found.append(f"dated {cell.created[:10]}, in the future: a clock was wrong")
    if cell.adapter_proof is not None and not cell.adapter_proof["changed"]:
        found.append("THE ADAPTER CHANGED NO LOGIT")
    found += [f"the base has seen this test set: {one['why']}" for one in _known()["seen"] if _is_about(one, cell)]
    if cell.flags.get("sample_rows"):
        found.append("sample rows")
    if "sample" in sources_of_training(cell):
        found.append("trained on sample rows")
    if cell.truncated_share:
        found.append(f"{cell.truncated_share:.1%} of inputs cut")
    if cell.unparsed_share:
        found.append(f"{cell.unparsed_share:.1%} of answers could not be read")
    if cell.flags.get("trained_precision"):
        found.append(f"trained at {cell.flags['trained_precision']}, scored at {cell.key.precision}")
    found += _prompted_otherwise(cell)
    if (constant := constant_answer(cell)) is not None and accuracy_interval(cell).low <= constant:
        found.append("not shown to beat a constant answer")
    if cell.n_clusters < cell.n_rows:
        found.append(f"{cell.n_rows} rows are {cell.n_clusters} different ones")
    if reason := cell.flags.get("not_shared"):
        found.append(f"scored without shared prefixes, so its seconds are those of hf: {reason}")
    found += remarks(cell)
    if cell.flags.get("trust_remote_code"):
        found.append("the base's own code was allowed to run")
    if cell.key.engine.partition("/")[0] == "hf":
        found.append("scored by lm-eval's own hf")
    if cell.adapter is not None and not record_of(cell):
        found.append("no record of the adapter's training")
    return found + ([cell.note] if cell.note else [])


def _prompted_otherwise(cell: Cell) -> list[str]:
    """Return in what the prompts of the training differed from those of the cell."""
    recipe = record_of(cell).get("recipe") or {}
    found = []
    shots = recipe.get("num_fewshot")
    if shots is not None and shots != cell.key.num_fewshot and not cell.key.engine.startswith("hf-classifier"):
        found.append(f"trained with {shots} shots, scored with {cell.key.num_fewshot}")
    talked, talks = bool(recipe.get("chat_template")), "chat_template" in str(cell.flags.get("prompting") or "")
    if recipe and talked != talks and not cell.key.engine.startswith("hf-classifier"):
        found.append(
            f"trained {'with' if talked else 'without'} a chat template, scored {'with' if talks else 'without'} one"
        )
    if recipe and bool(recipe.get("clean")) != cell.key.clean:
        then, now = ("cleaned", "plain") if recipe.get("clean") else ("plain", "cleaned")
        found.append(f"trained on {then} texts, scored on {now} ones")
    return found


def with_outcomes(cell: Cell, outcomes: Outcomes) -> list[str]:
    """Return the remarks on a cell and, where its labels are known to be broken, the score without them."""
    found = flags(cell)
    if has_price_question(cell) and (rows := outcomes.rows(cell)) is not None:
        found.append(f"{rows.without_price_question():.3f} without the price question, whose labels are broken")
    if cell.key.task in _known()["doubted"] and (rows := outcomes.rows(cell)) is not None and rows.doubted():
        found.append(f"{rows.without_doubted():.3f} without {rows.doubted()} rows whose published answer is wrong")
    return found


def has_price_question(cell: Cell) -> bool:
    """Say whether a ninth of the cell's rows are those whose published labels contradict the gold annotation."""
    return cell.key.task in _known()["price_question"] and cell.source.partition(":")[0] in ("hub", "folder")


def _is_about(one: dict[str, str], cell: Cell) -> bool:
    return one["task"] == cell.key.task and one["base"] == cell.key.base.lower()
