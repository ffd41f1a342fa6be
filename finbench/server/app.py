"""The web service: `POST /analyze`, the page, health, metrics and documentation."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import fastapi_offline
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field, StringConstraints, model_validator

from finbench import __version__
from finbench.errors import FinbenchError
from finbench.predict.predictor import Prediction, Predictor
from finbench.server.batching import Batcher, QueueFull, Stopped
from finbench.server.guard import LOCAL_NAMES, BodyLimit, Guard
from finbench.server.memory import heap_trimmer
from finbench.server.metrics import Metrics

PAGE = Path(__file__).parent / "page"
SWAGGER = Path(fastapi_offline.__file__).parent / "static"
MAX_TEXTS = 256  # in one request
RETRY_SECONDS = 1
CLIENT_GONE = 499  # nginx's number; nobody reads it but the metrics
STOPPED = "the model's worker has stopped: nothing is answered until the server is started again"


@dataclass(frozen=True)
class Limits:
    """What a request may ask for: characters of a text, bytes of a body, texts that wait, texts that run together."""

    characters: int = 20_000
    body_bytes: int = 1_000_000
    waiting: int = 2048
    batch: int = 64
    seconds: float = 60.0


Text = Annotated[str, StringConstraints(min_length=1)]


class Asked(BaseModel):
    """One text, or several; `adapter` chooses one of those that `/health` lists."""

    text: Text | None = None
    texts: Annotated[list[Text], Field(min_length=1, max_length=MAX_TEXTS)] | None = None
    adapter: str | None = None

    @model_validator(mode="after")
    def _one_of(self) -> "Asked":
        if (self.text is None) == (self.texts is None):
            raise ValueError('give either "text" or "texts"')
        if not all(text.strip() for text in self.texts or [self.text or ""]):
            raise ValueError("a text is empty")
        return self


class Label(BaseModel):
    """A text's label, its share of all labels (0 to 1), and every label's share; a generated answer has no shares."""

    label: str
    confidence: float | None
    scores: dict[str, float]


class Labels(BaseModel):
    """The results in the order of the texts."""

    results: list[Label]


class Problem(BaseModel):
    """What was wrong and what to do."""

    detail: str


class Offered(BaseModel):
    """What this server offers; `status` is "ok", or says why nothing is answered.

    `precision` says how weights are held, `merged` that the one adapter is folded into its base.
    """

    status: str
    version: str
    adapters: list[str]
    default: str
    task: str
    labels: list[str]
    precision: str
    merged: bool


def build_app(
    predictors: Mapping[str, Predictor],
    limits: Limits,
    origins: Sequence[str] = (),
    names: Collection[str] = LOCAL_NAMES,
) -> Guard:
    """Return the service for these predictors, the first of which answers where none is named.

    Pages of `origins` may ask, and it answers to `names`.
    """
    metrics = Metrics()
    answering = {name: one.predict_each for name, one in predictors.items()}
    batcher = Batcher(answering, limits.batch, limits.waiting, heap_trimmer())
    metrics.watch(batcher)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(batcher.close)  # what has begun is finished

    app = FastAPI(title="finbench", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan)
    app.add_middleware(BodyLimit, limit=limits.body_bytes)
    if origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=list(origins), allow_methods=["POST"], allow_headers=["content-type"]
        )
    _problems(app)
    _analyze(app, predictors, batcher, limits)
    _about(app, predictors, metrics, batcher)
    _pages(app)
    return Guard(metrics.measured(app), names)  # around all else: an error's answer too has the headers


def _analyze(app: FastAPI, predictors: Mapping[str, Predictor], batcher: Batcher, limits: Limits) -> None:
    default = next(iter(predictors))
    errors: dict[int | str, dict[str, Any]] = {
        status: {"model": Problem, "description": text}
        for status, text in {
            400: "the body is no JSON",
            404: "no such adapter",
            408: "the body did not arrive in time",
            413: "too long a text or body, or more texts than may ever wait",
            415: "the body is not declared as JSON",
            422: "the body is not as described, or a text cannot be read",
            503: "too many texts wait; Retry-After says when to try again",
            504: "the model took too long",
        }.items()
    }

    @app.post("/analyze", responses=errors, response_model=Label | Labels, summary="Label a text, or several")
    async def analyze(asked: Asked, request: Request) -> Response:
        name = asked.adapter or default
        if name not in predictors:
            raise HTTPException(404, f"there is no adapter {name!r}; there are {', '.join(predictors)}")
        texts = asked.texts or [asked.text or ""]
        longest = max(len(text) for text in texts)
        if longest > limits.characters:
            raise HTTPException(413, f"a text has {longest:,} characters; at most {limits.characters:,} are read")
        if len(texts) > limits.waiting:
            raise HTTPException(413, f"{len(texts):,} texts; at most {limits.waiting:,} may wait, so split them")
        answers = await _answers(batcher, name, texts, request, limits.seconds)
        labels = [_label(place, answer) for place, answer in enumerate(answers)]
        found = Labels(results=labels) if asked.texts is not None else labels[0]
        return Response(found.model_dump_json(), media_type="application/json")  # FastAPI would check it once more


async def _answers(
    batcher: Batcher, name: str, texts: Sequence[str], request: Request, seconds: float
) -> list[Prediction | FinbenchError]:
    """Wait for a request's answers as long as its client does."""
    try:
        future = asyncio.wrap_future(batcher.submit(name, texts))
    except QueueFull as full:
        headers = {"Retry-After": str(RETRY_SECONDS)}
        raise HTTPException(503, "too many texts wait; try again in a moment", headers) from full
    except Stopped as stopped:
        raise HTTPException(503, STOPPED) from stopped
    leaving = asyncio.ensure_future(_gone(request))
    try:
        both: set[asyncio.Future[Any]] = {future, leaving}
        await asyncio.wait(both, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if future.done():
            return future.result()
        if leaving.done():
            raise HTTPException(CLIENT_GONE, "the client has gone")
        raise HTTPException(504, f"no answer within {seconds:.0f} seconds")
    except Stopped as stopped:
        raise HTTPException(503, STOPPED) from stopped
    finally:
        future.cancel()  # what nobody waits for leaves the queue
        leaving.cancel()


async def _gone(request: Request) -> None:
    """Return when the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _label(place: int, answer: Prediction | FinbenchError) -> Label:
    if isinstance(answer, FinbenchError):
        raise HTTPException(413 if "tokens" in str(answer) else 422, f"text {place + 1}: {answer}")
    return Label(label=answer.label, confidence=answer.confidence, scores=answer.scores)


def _about(app: FastAPI, predictors: Mapping[str, Predictor], metrics: Metrics, batcher: Batcher) -> None:
    name, first = next(iter(predictors.items()))

    @app.get("/health", summary="What is offered", responses={503: {"model": Offered, "description": STOPPED}})
    async def health(response: Response) -> Offered:
        response.status_code = 200 if batcher.alive else 503
        return Offered(
            status="ok" if batcher.alive else STOPPED, version=__version__, adapters=list(predictors), default=name,
            task=first.task_name, labels=list(first.labels), precision=first.precision, merged=first.merged,
        )  # fmt: skip

    @app.get("/metrics", include_in_schema=False)
    async def prometheus() -> Response:
        text, kind = metrics.text()
        return Response(text, media_type=kind)


def _pages(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE / "index.html")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> FileResponse:
        return FileResponse(PAGE / "docs.html")

    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    app.mount("/swagger", StaticFiles(directory=SWAGGER), name="swagger")


def _problems(app: FastAPI) -> None:
    """Say what was wrong without repeating the input, which may be no text at all."""

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        kinds = {one["type"] for one in error.errors()}
        if "json_invalid" in kinds:
            return JSONResponse({"detail": "the body is no JSON"}, 400)
        said = "; ".join(
            f"{'.'.join(str(part) for part in one['loc'][1:] if not isinstance(part, str) or part.isidentifier())}: "
            f"{one['msg']}".removeprefix(": ")
            for one in error.errors()[:5]
        )
        return JSONResponse({"detail": said.encode("utf-8", "replace").decode()}, 422)

    @app.exception_handler(UnicodeError)
    async def no_text(_: Request, __: UnicodeError) -> JSONResponse:
        return JSONResponse({"detail": "a text holds what is no character"}, 422)
