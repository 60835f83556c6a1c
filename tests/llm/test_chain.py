"""Several models in a row, and the settings that name them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from stupid_dagster.errors import LanguageModelError, SettingsError
from stupid_dagster.llm.budget import expected
from stupid_dagster.llm.chain import Chain, configured_model
from stupid_dagster.llm.protocol import Message, Usage
from stupid_dagster.llm.provider import ProviderError
from stupid_dagster.project import Project
from stupid_dagster.settings import load_settings
from tests.llm.servers import COMPLETION_TOKENS, PROMPT_TOKENS, Act, BreakOff, Fail, Say
from tests.llm.servers import model_server as served

ONE = Usage(PROMPT_TOKENS, COMPLETION_TOKENS)
HELLO = [Message("user", "Hello?")]
BLUE = Say('{"name": "blue"}')
FAILURE = Fail(500, "it broke")


class Colour(BaseModel):
    name: str


Make = Callable[[list[Act], list[Act]], Chain]


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Make]:
    """Return what makes a chain of an OpenAI and an Ollama server with their scripts."""
    with ExitStack() as stack:

        def make(first: list[Act], second: list[Act]) -> Chain:
            one = stack.enter_context(served("openai", first))
            two = stack.enter_context(served("ollama", second))
            settings = load_settings(
                tmp_path,
                environment={"STUPID_LLM": "openai, ollama"},
                overrides={
                    "llm_openai_model": "m1",
                    "llm_openai_url": one.url,
                    "llm_ollama_model": "m2",
                    "llm_ollama_url": two.url,
                },
            )
            made = configured_model(settings)
            assert made is not None
            stack.callback(made.close)
            return made

        yield make


def test_the_first_that_answers_does(chain: Make) -> None:
    made = chain([BLUE, Say("Blue.")], [])

    done = made.complete(HELLO, Colour)
    stream = made.stream(HELLO)

    assert (done.value.name, done.model_id, done.usage) == ("blue", "openai/m1", ONE)
    assert "".join(stream) == "Blue."
    assert (stream.model_id, stream.usage) == ("openai/m1", ONE)
    assert made.meter.spent() == {"openai/m1": ONE + ONE}
    assert made.model_id == "openai/m1, ollama/m2"


def test_what_fails_is_left_with_its_reason_and_its_tokens(chain: Make) -> None:
    nonsense = Say("no JSON")
    made = chain([nonsense, nonsense, FAILURE], [BLUE, Say("Blue.")])

    done = made.complete(HELLO, Colour)
    stream = made.stream(HELLO)

    assert (done.value.name, done.model_id) == ("blue", "ollama/m2")
    assert done.usage == ONE + ONE + ONE
    assert "".join(stream) == "Blue."
    broken = expected(HELLO)
    assert (stream.model_id, stream.usage) == ("ollama/m2", broken + ONE)
    assert [failure.model_id for failure in made.failures] == ["openai/m1", "openai/m1"]
    assert "gave no answer of the form that it was asked for, asked twice" in (
        made.failures[0].reason
    )
    assert "it broke" in made.failures[1].reason
    assert made.meter.spent() == {"openai/m1": ONE + ONE + broken, "ollama/m2": ONE + ONE}


@pytest.mark.parametrize("way", ["complete", "stream"])
def test_when_none_answers_every_reason_is_told(chain: Make, way: str) -> None:
    made = chain([FAILURE], [Fail(404, "model 'm2' not found")])
    with pytest.raises(LanguageModelError, match=r"openai/m1.*it broke.*; ollama/m2.*not found"):
        list(made.stream(HELLO)) if way == "stream" else made.complete(HELLO, Colour)


def test_a_text_that_breaks_off_is_not_begun_anew(chain: Make) -> None:
    made = chain([BreakOff("Snow fell")], [Say("Blue.")])
    pieces: list[Any] = []
    with pytest.raises(ProviderError, match="broke off"):
        for piece in made.stream(HELLO):
            pieces.append(piece)
    assert "".join(pieces) == "Snow fell"
    assert [failure.model_id for failure in made.failures] == ["openai/m1"]


def test_without_providers_there_is_no_model(tmp_path: Path) -> None:
    assert Project.load(tmp_path).language_model is None


def test_a_provider_needs_its_model(tmp_path: Path) -> None:
    (tmp_path / "stupid.toml").write_text('llm = ["ollama", "openai"]\nllm_ollama_model = "m"\n')
    with pytest.raises(SettingsError, match="llm_openai_model must name the model") as raised:
        load_settings(tmp_path)
    assert "llm_ollama_model" not in str(raised.value)
    (tmp_path / "stupid.toml").write_text('llm = "openia"\n')
    with pytest.raises(SettingsError, match=r"llm = 'openia': .*'openai'"):
        load_settings(tmp_path)


def test_clients_are_imported_when_a_model_is_asked(tmp_path: Path) -> None:
    program = (
        "import sys; from stupid_dagster.project import Project\n"
        f"assert Project.load({str(tmp_path)!r}, {{'llm': 'openai,anthropic,ollama', "
        "'llm_openai_model': 'm', 'llm_anthropic_model': 'm', 'llm_ollama_model': 'm'})"
        ".language_model\n"
        "print(*{'openai', 'anthropic', 'ollama', 'httpx', 'httpx2'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
