"""All that finbench knows of the insides of transformers and PEFT, which they do not promise."""
