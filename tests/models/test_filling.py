"""A classifier's texts in batches: every text once, the longest first, within both bounds."""

from hypothesis import given
from hypothesis import strategies as some

from finbench.models.filling import like_length


@given(some.lists(some.integers(1, 500)), some.integers(1, 40), some.integers(1, 2000), some.booleans())
def test_batches_hold_every_text_within_their_bounds(lengths: list[int], most: int, tokens: int, alike: bool) -> None:
    batches = list(like_length(dict(enumerate(lengths)), most, tokens, alike))
    found = [lengths[text] for batch in batches for text in batch]
    assert found == sorted(lengths, reverse=True)
    assert sorted(text for batch in batches for text in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = lengths[batch[0]]
        assert len(batch) == 1 or (len(batch) <= most and len(batch) * longest <= tokens)
        assert not alike or {lengths[text] for text in batch} == {longest}
