"""Makes adapters: `finbench finetune RECIPE.yaml`."""
