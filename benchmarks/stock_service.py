"""What serving with the stock tools comes to: a transformers pipeline, with the adapter by PEFT, behind FastAPI.

`python -m benchmarks.stock_service BASE ADAPTER`
"""

import socket
import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from peft import PeftModel
from pydantic import BaseModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from benchmarks.serving import LABELS


class Asked(BaseModel):
    """A request."""

    text: str


def main(base: str, adapter: str) -> None:
    """Serve on a free port, and say which."""
    model = AutoModelForSequenceClassification.from_pretrained(
        base, num_labels=len(LABELS), id2label=dict(enumerate(LABELS))
    )
    classify = pipeline(
        "text-classification", model=PeftModel.from_pretrained(model, adapter).eval(),
        tokenizer=AutoTokenizer.from_pretrained(base), top_k=None,
    )  # fmt: skip
    app = FastAPI()

    @app.post("/analyze")
    def analyze(asked: Asked) -> dict[str, Any]:
        found = classify([asked.text])[0]
        return {"label": found[0]["label"], "scores": {one["label"]: one["score"] for one in found}}

    listening = socket.create_server(("127.0.0.1", 0))
    print(f"serving on http://127.0.0.1:{listening.getsockname()[1]}/", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run([listening])


if __name__ == "__main__":
    main(*sys.argv[1:])
