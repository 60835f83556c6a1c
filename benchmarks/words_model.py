"""A language model on loopback that answers from what it is asked, and counts tokens.

It says of a label the rule's words and the profile's own comparisons, of a digest the rule's
sentences, of a question the plan that it is given. So the answers are as long as the rules' words;
what a real model writes may be longer. It counts as SmolLM2's tokenizer does (49,152 tokens; in
llama.cpp's own HTTP server): the conversation in ChatML, the JSON schema, and the answer. Where
that model can't be had, 4 characters are a token.
"""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

Kind = Literal["label", "digest", "plan", "telling"]
_KINDS: Mapping[str, Kind] = {
    "LabelAnswer": "label",
    "DigestAnswer": "digest",
    "PlanAnswer": "plan",
}
_CHARACTERS = 4
_ITEMS, _ROWS = 3, 3
"""Comparisons of a profile, and rows of a result, that are told."""


@dataclass(frozen=True)
class Request:
    """What a request took: `prompt` tokens of messages, of the `schema`, of the `answer`.

    `again` where an answer before it was refused; `of` is what a label's profile is of.
    """

    kind: Kind
    again: bool
    prompt: int
    schema: int
    answer: int
    characters: int
    of: str = ""


@dataclass
class Model:
    """What the server knows: plans in the order in which they are asked for, and its requests."""

    tokens: Callable[[str], int]
    plans: list[dict[str, Any]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def taken(self) -> list[Request]:
        """Return the requests since this was last asked."""
        with self._lock:
            taken, self.requests = self.requests, []
        return taken

    def reply(self, body: dict[str, Any]) -> tuple[str, Request]:
        """Return the answer to a request of OpenAI's chat completions, and what it took."""
        messages = [(one["role"], one["content"]) for one in body["messages"]]
        held = body.get("response_format", {}).get("json_schema")
        kind: Kind = _KINDS[held["name"]] if held else "telling"
        last = messages[-1][1]
        of, again = "", last.startswith(("That can't be used", "The plan is not valid"))
        match kind:
            case "label":
                profile = _block("profile", messages)
                answer, of = _label(profile, held["schema"]["properties"]), profile["kind"]
            case "digest":
                draft = _block("insights", messages)["sentences of the rule"]
                answer = _json({"sentences": draft})
            case "plan":
                answer = self._plan(again)
            case _:
                answer = _telling(last)
        chat = (f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in messages)
        schema = _json(held["schema"]) if held else ""
        request = Request(
            kind=kind,
            again=again,
            prompt=sum(map(self.tokens, chat)),
            schema=self.tokens(schema) if schema else 0,
            answer=self.tokens(answer),
            characters=sum(len(text) for _, text in messages),
            of=of,
        )
        with self._lock:
            self.requests.append(request)
        return answer, request

    def _plan(self, again: bool) -> str:
        """Return the next question's plan with a step that isn't there, and then as it is."""
        plan = self.plans.pop(0) if again else self.plans[0]
        if not again:
            plan = plan | {"render": {**plan.get("render", {}), "step": "no_such_step"}}
        return _json({"plan": plan, "unanswerable": None})


@contextmanager
def counting_model(model: Model) -> Iterator[str]:
    """Serve it by OpenAI's protocol on a free port, and yield the URL as the setting has it."""
    from tests.llm.servers import Raw, model_server

    def act(body: dict[str, Any]) -> Raw:
        answer, request = model.reply(body)
        sent = request.prompt + request.schema
        usage = {
            "prompt_tokens": sent,
            "completion_tokens": request.answer,
            "total_tokens": sent + request.answer,
        }
        streamed = body.get("stream", False)
        part = {"role": "assistant", "content": answer}
        one = {"index": 0, "finish_reason": "stop", "delta" if streamed else "message": part}
        tree = {"id": "1", "created": 1, "model": body["model"], "choices": [one], "usage": usage}
        if not streamed:
            return Raw(_json(tree | {"object": "chat.completion"}).encode())
        chunk = _json(tree | {"object": "chat.completion.chunk"})
        return Raw(f"data: {chunk}\n\ndata: [DONE]\n\n".encode(), "text/event-stream")

    with model_server("openai", act) as served:
        yield served.url


@contextmanager
def tokenizer() -> Iterator[tuple[str, Callable[[str], int]]]:
    """Yield what counts tokens, and its name."""
    import pytest

    from tests.llm.smol import smol_server

    try:
        server = smol_server()
        url = server.__enter__()
    except pytest.skip.Exception as why:
        yield f"{_CHARACTERS} characters a token, as {why}", lambda text: len(text) // _CHARACTERS
        return

    @lru_cache(maxsize=10_000)
    def tokens(text: str) -> int:
        request = urllib.request.Request(
            f"{url}/tokenize",
            data=json.dumps({"content": text}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return len(json.loads(answer.read())["tokens"])

    try:
        yield "SmolLM2's tokenizer", tokens
    finally:
        server.__exit__(None, None, None)


def _block(name: str, messages: list[tuple[str, str]]) -> dict[str, Any]:
    """Return the last block of data that a conversation has."""
    begin, end = f"<{name}>\n", f"\n</{name}>"
    text = [text for role, text in messages if role == "user" and text.startswith(begin)][-1]
    return json.loads(text.removeprefix(begin).removesuffix(end))


def _label(profile: dict[str, Any], parts: Mapping[str, Any]) -> str:
    """Return the rule's words as far as the schema's lengths let them be."""
    said = {
        name: _cut(text, parts[name]["maxLength"])
        for name, text in profile["words of the rule"].items()
    }
    items = profile.get("behaviour, against all", [])[:_ITEMS]
    most = parts["distinguishing"]["items"]["maxLength"]
    return _json({**said, "distinguishing": [_cut(item, most) for item in items]})


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most].rsplit(" ", 1)[0].rstrip(" ,;:(")


def _telling(asked: str) -> str:
    """Return how many rows a result has, and what the first ones say."""
    shown = json.loads(asked.partition("Results:\n")[2].partition("\n")[0] or "{}")
    said = [f"There are {shown.get('row_count', 0)} rows."]
    for row in shown.get("rows", [])[:_ROWS]:
        parts = [f"{name.replace('_', ' ')} {value}" for name, value in [*row.items()][:4]]
        said.append(f"One has {', '.join(parts)}.")
    return " ".join(said)


def _json(tree: Any) -> str:
    return json.dumps(tree, ensure_ascii=False, separators=(",", ":"))
