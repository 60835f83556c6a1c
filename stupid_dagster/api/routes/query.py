"""Questions in plain words, and the conversations that they are part of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

import anyio.to_thread
import structlog
from anyio import CapacityLimiter
from fastapi import APIRouter, Body, Path, Request, Response
from fastapi.responses import StreamingResponse

from stupid_dagster.api.answers import Answers, json_text
from stupid_dagster.api.dependencies import PublishedAnswers, kept_snapshots, wanted
from stupid_dagster.api.errors import failure
from stupid_dagster.api.examples import example
from stupid_dagster.api.examples.query import EVENTS
from stupid_dagster.api.limits import MOST_QUESTIONS
from stupid_dagster.api.media import AnswerForm
from stupid_dagster.api.metrics import metrics_of
from stupid_dagster.api.models.query import (
    QueryAnswer,
    Question,
    SessionAnswer,
    SessionsAnswer,
)
from stupid_dagster.api.routes.plans import check_rows
from stupid_dagster.deadline import Stop, Stopped, stoppable
from stupid_dagster.errors import StupidError
from stupid_dagster.query.questions.asking import Questions, plan_told
from stupid_dagster.query.questions.sessions import MOST_SESSIONS

log = structlog.get_logger(__name__)
router = APIRouter(tags=["questions"])

EVENT_STREAM = "text/event-stream"
_THREADS = CapacityLimiter(MOST_QUESTIONS)
"""Of their own, for they wait for language models."""
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            **example("query")[200]["content"],
            EVENT_STREAM: {"schema": {"type": "string"}, "example": EVENTS},
        }
    }
}


KEEP_ALIVE = ": the model thinks\n\n"
"""A comment: clients leave it out, and neither they nor what is between hang up meanwhile."""
KEEP_ALIVE_SECONDS = 15.0
_LEFT = 499
"""Status that nobody sees, but the log and the metrics: the client closed its connection."""


@router.post("/query", response_model=QueryAnswer, responses=_ANSWERS)
async def query(request: Request, asked: Annotated[Question, Body()]) -> Response:
    """Answer a question in plain words: a language model makes a plan, which is checked and run.

    With `Accept: text/event-stream` what happens is told as it does, in events with JSON data:
    `plan`, `progress` for each step, `render` (rows), `text` (pieces; one that `replaces` stands
    instead of all before), `done`, or `error` (problem+json); a comment each 15 seconds keeps the
    line open. When its client leaves, work on a question ends. Sentences whose numbers, dates or
    ids stand neither in the results nor in what the plan asks for are taken out of the text; that
    they stand in the question doesn't do. Where none is left, a rule says how many rows there are
    and what the first is (`text_by`: `rule`). As CSV or Arrow, the shown rows alone. Needs a
    language model, see the setting `llm`; plans run without one.
    """
    form = wanted(request)
    questions = _questions(request)
    questions.language_model()
    if asked.session:
        questions.sessions.find(asked.session)
    with kept_snapshots(request).use(asked.as_of):
        pass  # Told as a status, while there still is one to be told.
    if form.media == EVENT_STREAM:
        return StreamingResponse(
            _events(request, asked), headers=dict(form.headers), media_type=EVENT_STREAM
        )
    stop = Stop()
    watching = asyncio.create_task(_stop_when_it_leaves(request, stop))
    try:
        work = partial(_answer, request, form, questions, asked, stop)
        return await anyio.to_thread.run_sync(work, limiter=_THREADS)
    finally:
        watching.cancel()


async def _stop_when_it_leaves(request: Request, stop: Stop) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    stop.stop()


def _answer(
    request: Request, form: AnswerForm, questions: Questions, asked: Question, stop: Stop
) -> Response:
    try:
        with kept_snapshots(request).use(asked.as_of) as reader:
            with stoppable(stop):
                done = questions.ask(
                    reader,
                    asked.question,
                    session=asked.session,
                    on_event=lambda name, data: stop.check(),
                )
            check_rows(done.result, form)
            return Answers(reader, form, metrics_of(request.app).rows.inc).page(
                done.page,
                question=asked.question,
                **done.summary(),
                **plan_told(done.planned),
                steps=[one.as_dict() for one in done.result.steps.values()],
                render=done.result.render.model_dump(),
            )
    except (Stopped, StupidError):
        if not stop.stopped:
            raise
        log.info("question left", path=request.url.path)
        return Response(status_code=_LEFT)


async def _events(request: Request, asked: Question) -> AsyncIterator[str]:
    """Yield server-sent events while a thread does the work."""
    queue: asyncio.Queue[str | None] = asyncio.Queue()
    loop, stop = asyncio.get_running_loop(), Stop()

    def put(event: str | None) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, event)

    def send(name: str, data: dict[str, Any]) -> None:
        stop.check()
        if name == "render":
            metrics_of(request.app).rows.inc(len(data["rows"]))
        put(_event(name, data))

    def work() -> None:
        try:
            with kept_snapshots(request).use(asked.as_of) as reader, stoppable(stop):
                _questions(request).ask(
                    reader, asked.question, session=asked.session, on_event=send
                )
        except Stopped:
            log.info("question left", path=request.url.path)
        except Exception as error:
            put(_event("error", failure(request, error)))
        finally:
            put(None)

    working = asyncio.create_task(anyio.to_thread.run_sync(work, limiter=_THREADS))
    try:
        while True:
            try:
                event = await asyncio.wait_for(queue.get(), KEEP_ALIVE_SECONDS)
            except TimeoutError:
                yield KEEP_ALIVE
                continue
            if event is None:
                break
            yield event
        await working
    finally:
        stop.stop()


@router.post("/sessions", response_model=SessionAnswer, responses=example("session"))
def create_session(request: Request, answers: PublishedAnswers) -> Response:
    """Begin a conversation: questions in it may say "them" of what was found before.

    It ends when it isn't used for an hour, or when there are 1,000 that were used since. Servers of
    a lake in a bucket share it; else it is held in memory, and ends with the process. Who knows its
    id can read it. What was found in a window is forgotten when that window isn't kept any more: a
    question that needs it is refused.
    """
    return answers.data(session=_session(_questions(request).sessions.create()))


@router.get("/sessions", response_model=SessionsAnswer, responses=example("sessions"))
def sessions(request: Request, answers: PublishedAnswers) -> Response:
    """Count the conversations that go on; their ids are known to those who began them alone."""
    return answers.data(sessions=len(_questions(request).sessions), most=MOST_SESSIONS)


SessionId = Annotated[
    str,
    Path(
        description="Session's id, as it was told when it began.",
        examples=["Yb3c9Qm2f8T1xKwZ0aLrNs4P"],
    ),
]


@router.get("/sessions/{session_id}", response_model=SessionAnswer, responses=example("session"))
def session(request: Request, answers: PublishedAnswers, session_id: SessionId) -> Response:
    """Read a conversation: its last questions, their plans, and what was found."""
    return answers.data(session=_session(_questions(request).sessions.find(session_id)))


@router.delete("/sessions/{session_id}", status_code=204, response_class=Response)
def delete_session(request: Request, session_id: SessionId) -> None:
    """Forget a conversation."""
    _questions(request).sessions.delete(session_id)


def _questions(request: Request) -> Questions:
    """Return what answers questions, rid of what it knew from snapshots that are gone."""
    questions: Questions = request.app.state.questions
    questions.keep_only({window.snapshot for window in kept_snapshots(request).windows()})
    return questions


def _session(found: Any) -> dict[str, Any]:
    return {
        "id": found.id,
        "created": found.created,
        "forgotten": found.forgotten,
        "turns": [asdict(turn) for turn in found.turns],
    }


def _event(name: str, data: dict[str, Any]) -> str:
    parts = ",".join(f"{json_text(key)}:{json_text(part)}" for key, part in data.items())
    return f"event: {name}\ndata: {{{parts}}}\n\n"
