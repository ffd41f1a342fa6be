"""Notes: how the numbers are made, what to know before believing them, and what went wrong."""

from finbench.leaderboard.chosen import LEVEL
from finbench.leaderboard.gains import RIVALS
from finbench.leaderboard.view import View

ABOUT = (
    "- **What is ranked against what**: entries that were scored on the same rows in the same way: real or sample "
    "rows, the same row cap, texts cleaned or not, the same shots and chat template. A cap that leaves no row out is "
    "none. Where a task was scored in several ways, its first way is that of real rows as published, then that with "
    "most rows; one in which nobody answers a row rightly comes last. Boards over several tasks show the first way "
    "that an entry was scored in; the others stand on the task's page. Inputs that were cut, and what a matrix says of "
    "its runs, are footnotes.\n"
    "- **An entry** is a base, or a base with what one recipe made of it: adapters that differ in their seed alone are "
    "one entry, with mean and standard deviation. Ranks, gains and ties are those of entries; a task's page opens them "
    "to their seeds.\n"
    "- **Intervals** are Wilson's at 95% on the effective number of rows (rows that repeat one another count once), "
    "each for an entry by itself: the best of many is a little lucky. That of a mean over seeds is on the rows of "
    "one.\n"
    "- **Gains and ties** are tested on the same rows by exact McNemar, or by all swaps of clusters where rows repeat "
    "or an entry has several seeds, whose answers to a row stay together: more seeds are no more rows. The p of a gain "
    "is corrected for all entries of the task that the best was chosen from (Westfall and Young's smallest p, or "
    f"Holm), then by Holm over the tasks of the table. An entry is tied with the best where p is {LEVEL} or more; the "
    f"{RIVALS} next to it are tested, and p is corrected for all pairs of the task's entries, since any might have "
    "been the best and its rival. Where so few rows differ that no answers on them could show anything, a table says "
    "so.\n"
    "- **A constant answer** is the share of the largest class: what always saying the same would score. A bare base "
    "without a trained head cannot answer at all, so there is nothing to gain over.\n"
    "- **Memory** is the process's peak on the CPU, allocated bytes on a GPU. Costs compare only on the same machine.\n"
)


def page(view: View) -> str:
    """Return the page of notes."""
    return f"# Notes\n\n{ABOUT}\n## Remarks and failures\n\n{view.notes()}"
