"""Stems and packs cover every token of every row, each shared token once."""

import random

import pytest

from finbench.engine.prefix import PASS_TOKENS, Stem, chain, common_length, grow, pack, sort_rows


def random_tree(seed: int, count: int = 60) -> list[tuple[int, ...]]:
    """Return sequences over few tokens, so that they share prefixes at many depths."""
    draw = random.Random(seed)
    stems = [tuple(draw.choices(range(3), k=draw.randint(0, 40))) for _ in range(4)]
    return [draw.choice(stems) + tuple(draw.choices(range(3), k=draw.randint(1, 12))) for _ in range(count)]


@pytest.mark.parametrize(
    ("first", "second", "length"),
    [((), (1,), 0), ((1, 2), (1, 2), 2), ((1, 2, 3), (1, 2), 2), ((1, 2, 3), (1, 4, 3), 1), ((5,), (6,), 0)],
)
def test_common_length(first: tuple[int, ...], second: tuple[int, ...], length: int) -> None:
    assert common_length(first, second) == length


@pytest.mark.parametrize("seed", range(5))
def test_every_sequence_has_a_row_that_begins_with_it(seed: int) -> None:
    sequences = random_tree(seed)
    rows = sort_rows(sequences)
    for sequence, row in zip(sequences, rows.row_of, strict=True):
        assert rows.tokens[row][: len(sequence)] == sequence
    for one, other in zip(rows.tokens, rows.tokens[1:], strict=False):
        assert one < other
        assert other[: len(one)] != one


def walk(stem: Stem) -> list[Stem]:
    return [stem, *(inner for branch in stem.branches for inner in walk(branch))]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("budget", [1, 16, 50, 10_000])
def test_stems_and_packs_rebuild_every_row(seed: int, budget: int) -> None:
    rows = sort_rows(random_tree(seed))
    seen: list[int] = []
    for stem in walk(grow(rows, budget)):
        for branch in stem.branches:
            assert (branch.start, stem.first <= branch.first < branch.last <= stem.last) == (stem.stop, True)
        prefix = rows.tokens[stem.first][: stem.stop]
        assert all(rows.tokens[row][: stem.stop] == prefix for row in range(stem.first, stem.last))
        left = list(stem.rows)
        while left:
            tree = pack(rows, left, stem.stop, budget)
            assert len(tree.paths) == 1 or len(tree.tokens) <= budget
            for row, path in zip(left, tree.paths, strict=False):
                assert prefix + tuple(tree.tokens[slot] for slot in path) == rows.tokens[row]
                assert [tree.depths[slot] for slot in path] == list(range(stem.stop, len(rows.tokens[row])))
                seen_by_last = {slot for slot in range(path[-1] + 1) if path[-1] < tree.ends[slot]}
                assert seen_by_last == set(path)
            seen += left[: len(tree.paths)]
            left = left[len(tree.paths) :]
    assert sorted(seen) == list(range(len(rows.tokens)))


def test_a_pack_holds_shared_tokens_once() -> None:
    rows = sort_rows([(1, 2, 3), (1, 2, 4), (1, 5)])
    tree = pack(rows, [0, 1, 2], 0, 100)
    assert tree.tokens == (1, 2, 3, 4, 5)
    assert tree.depths == (0, 1, 2, 2, 1)
    assert tree.ends == (5, 4, 3, 4, 5)
    assert tree.paths == ((0, 1, 2), (0, 1, 3), (0, 4))


def test_instruction_and_document_are_two_levels() -> None:
    instruction = tuple(range(1000, 1000 + 2 * PASS_TOKENS))
    documents = [tuple(range(2000 + 500 * n, 2300 + 500 * n)) for n in range(3)]
    rows = sort_rows([instruction + document + (n,) * 20 for document in documents for n in range(12)])
    root = grow(rows, 64)
    assert (root.start, root.stop, root.rows) == (0, len(instruction), ())
    assert [(branch.start, branch.stop) for branch in root.branches] == [(128, 428)] * 3
    assert chain(rows, root.branches[0].first, 128, 428).tokens in documents


def test_no_stem_where_it_would_save_less_than_a_pass() -> None:
    rows = sort_rows([(1, 2, 3, n) for n in range(8)])
    root = grow(rows, 4)
    assert (root.stop, root.branches, root.rows) == (0, (), tuple(range(8)))


def test_no_stem_where_one_pack_holds_all() -> None:
    rows = sort_rows([(*range(200), 300 + n) for n in range(8)])
    assert grow(rows, 208).stop == 0


def test_a_prefix_longer_than_a_pack_is_a_stem_for_few_tokens_beyond() -> None:
    rows = sort_rows([(*range(200), 300 + n) for n in range(3)])
    assert grow(rows, 100).stop == 200
    assert grow(rows, 201).stop == 200
