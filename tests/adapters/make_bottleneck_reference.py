"""Compute with the `adapters` library the logits that test_bottleneck.py expects of ours.

It pins an older transformers, so it wants an environment of its own:

    python -m venv adapters-env && adapters-env/bin/pip install torch adapters
    adapters-env/bin/python tests/adapters/make_bottleneck_reference.py
"""

import json
from collections import Counter
from pathlib import Path

import adapters
import transformers
from adapters.configuration import ADAPTER_CONFIG_MAP
from adapters.methods.bottleneck import BottleneckLayer
from bottleneck_reference import CONFIGURATIONS, MODELS, REDUCTION_FACTOR, build, compute_logits, fill_adapter

SITES = {"mh_adapter": "attention", "output_adapter": "feed_forward"}


def compute_with_adapters(family: str, configuration: str) -> list[float]:
    """The logits of a family's model with one adapter of AdapterHub's."""
    model = build(family)
    adapters.init(model)
    settings = ADAPTER_CONFIG_MAP[configuration].replace(reduction_factor=REDUCTION_FACTOR)
    model.add_adapter("reference", config=settings)
    model.set_active_adapters("reference")
    seen: Counter[str] = Counter()
    for module in model.modules():
        if isinstance(module, BottleneckLayer) and "reference" in module.adapters:
            adapter, site = module.adapters["reference"], SITES[module.location_key]
            fill_adapter(site, seen[site], adapter.adapter_down[0], adapter.adapter_up)
            seen[site] += 1
    return compute_logits(family, model.eval())


def main() -> None:
    """Write bottleneck_reference.json: versions, and the logits of every family by configuration."""
    lines = [
        f'"{family}.{configuration}": '
        + json.dumps(
            compute_logits(family, build(family))
            if configuration == "base"
            else compute_with_adapters(family, configuration)
        )
        for family in MODELS
        for configuration in ("base", *CONFIGURATIONS)
    ]
    versions = json.dumps({"adapters": adapters.__version__, "transformers": transformers.__version__})
    text = "{\n" + ",\n".join([f'"versions": {versions}', *lines]) + "\n}\n"
    Path(__file__).with_suffix("").with_name("bottleneck_reference.json").write_text(text)


if __name__ == "__main__":
    main()
