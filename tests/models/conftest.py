"""What tests of model types share."""

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from tests.conftest import build_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(build_tokenizer(tmp_path_factory.mktemp("tokenizer")))
