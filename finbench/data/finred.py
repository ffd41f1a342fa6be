"""Which relations one named thing has to another, in sentences of news and earnings calls (FinRED, Sharma et al. 2022).

A line of the publisher's files is `sentence | head ; tail ; relation | ...`. A row asks for all the relations of one
pair; FLaME, which holds the files, asks for them one by one, the same question with another right answer each time. The
relations of train were drawn from Wikidata, those of test were annotated.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from finbench.data.sources import SPLITS, Dataset, Files, Splits
from finbench.data.tables import name_label
from finbench.documents import read_text
from finbench.errors import FinbenchError
from finbench.records import Row, SourceKind

LABELS = tuple(
    """
    brand business_division chairperson chief_executive_officer creator currency developer director_/_manager
    distributed_by distribution_format employer founded_by headquarters_location industry legal_form
    location_of_formation manufacturer member_of operator original_broadcaster owned_by owner_of parent_organization
    platform position_held product_or_material_produced publisher stock_exchange subsidiary
    """.split()
)
BETWEEN, WITHIN = " | ", " ; "


def read(files: Files, kind: SourceKind) -> tuple[Splits, dict[str, int]]:
    """Return the published splits, a row for each pair of a sentence."""
    splits: Splits = {}
    for split in SPLITS:
        rows = splits[split] = []
        for number, place, sentence, triples in _lines(files[split]):
            pairs: dict[tuple[str, str], dict[str, None]] = {}
            for head, tail, relation in triples:
                name = name_label(relation, {label: label for label in LABELS}, "finred", place)
                pairs.setdefault((head, tail), {})[name] = None
            cluster = hashlib.sha256(sentence.encode()).hexdigest()[:12]
            for place_in_line, ((head, tail), relations) in enumerate(pairs.items()):
                row_id, asked = f"finred-{split}-{number}-{place_in_line}", f"From {head} to {tail}?"
                rows.append(Row(row_id, sentence, answer="; ".join(relations), question=asked, cluster=cluster))
    return splits, {}


def _lines(path: Path) -> Iterator[tuple[int, str, str, list[tuple[str, str, str]]]]:
    """Yield number, place, sentence and triples of each line; a sentence may hold a bar of its own."""
    for number, line in enumerate(read_text(path).split("\n")):
        parts = [part.strip() for part in line.strip().split(BETWEEN)]
        triples = [part.split(WITHIN) for part in parts if part.count(WITHIN) == 2]
        sentence = BETWEEN.join(part for part in parts if part.count(WITHIN) != 2)
        place = f"{path.name}, line {number + 1}"
        if line.strip() and not (sentence and triples):
            raise FinbenchError(f"rows of finred, {place}: no `sentence | head ; tail ; relation`.")
        if line.strip():
            yield number, place, sentence, [(head, tail, relation) for head, tail, relation in triples]


DATASET = Dataset(
    name="finred",
    labels=LABELS,
    repo="gtfintechlab/FLaME",
    revision="b62cf982dc43ab6392f8fc0997ca99ad3a2d8c69",
    hub_files={},
    folder_files={split: f"finred/{split}.txt" for split in SPLITS},
    read=read,
    licence="none stated",
)
