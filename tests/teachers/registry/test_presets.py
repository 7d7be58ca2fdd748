"""Every teacher of the table, as the scripted teacher speaks its dialect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.builds import build, small_recipe, write_questions
from tests.teachers.named import named
from tests.teachers.odd_server import odd_server
from tunixhack._util.api_keys import KEY_VARIABLE
from tunixhack.errors import UserError
from tunixhack.recipe import Recipe
from tunixhack.teachers.base import Capabilities
from tunixhack.teachers.engine.preflight import examine
from tunixhack.teachers.registry.discovery import discover_llamacpp, discover_lmstudio, discover_ollama, discover_openai
from tunixhack.teachers.registry.presets import PRESETS, Preset
from tunixhack.teachers.registry.resolve import RequestOptions, resolve
from tunixhack.testing import ScriptedTeacher

QUESTION = [{"role": "user", "content": "Write a letter about a missing key."}]
STYLES = {"<think> tags": "think", "reasoning": "reasoning", "reasoning_content": "reasoning_content"}
"""Where the table says a trace is, and the scripted teacher's word for it."""
HIDDEN = [name for name, preset in PRESETS.items() if preset.trace is None]
SHOWN = [name for name, preset in PRESETS.items() if preset.trace is not None]
PAID = [name for name, preset in PRESETS.items() if not preset.local]
OWN = [name for name, preset in PRESETS.items() if preset.local]


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in {KEY_VARIABLE, "OLLAMA_HOST", *(preset.key for preset in PRESETS.values())}:
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def questions(tmp_path: Path) -> Recipe:
    return small_recipe(write_questions(tmp_path / "questions.jsonl", 20), max_tokens=1000)


def refused(spec: str, options: RequestOptions | None = None) -> str:
    with pytest.raises(UserError) as raised:
        resolve(spec, options or RequestOptions())
    said = str(raised.value)
    assert "\n" not in said
    return said


def preflight(spec: str) -> Capabilities:
    """Resolve a teacher and put the preflight's questions to it."""
    teacher = resolve(spec, RequestOptions(max_tokens=1000))
    with teacher.connect() as endpoint:
        return examine(endpoint, teacher, "written", QUESTION, print)


def test_the_teachers_that_are_promised_are_there():
    promised = {"ollama", "vllm", "llamacpp", "openai", "deepseek", "gemini", "openrouter", "together", "anthropic"}
    assert set(PRESETS) == promised | {"lmstudio"}


def test_a_name_that_is_mistyped_is_answered_with_the_nearest():
    assert "did you mean ollama/MODEL?" in refused("olama/qwen3:8b")
    assert "did you mean deepseek/MODEL?" in refused("deepseak/deepseek-chat")


# what each is asked


@pytest.mark.parametrize("name", PRESETS)
def test_a_whole_build_in_each_dialect(name: str, questions: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with named(monkeypatch, name) as server:
        run = build(questions, f"{name}/scripted", tmp_path / "run", questions=3)
        bodies, asked = server.stats["bodies"], server.stats["max_concurrency"]
    preset = PRESETS[name]
    assert run.train.height == 3 * 4
    assert set(run.train["teacher"]) == {f"{name}/scripted"}
    assert asked <= preset.concurrency
    assert all(preset.limit in body for body in bodies)
    assert all(("seed" in body) is preset.seeded for body in bodies)
    assert run.train["seed"].null_count() == (0 if preset.seeded else run.train.height)
    assert max(body.get("n", 1) for body in bodies) <= preset.most_choices


@pytest.mark.parametrize("name", SHOWN)
def test_a_native_trace_is_found_where_the_table_says(
    name: str, questions: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with named(monkeypatch, name, style=STYLES[str(PRESETS[name].trace)]):
        recipe = questions.replace(trace="native", samples=1)
        run = build(recipe, f"{name}/scripted", tmp_path / "run", questions=2)
    assert run.train.height == 2
    assert run.train["reasoning"].str.len_chars().min() > 10


@pytest.mark.parametrize("name", HIDDEN)
def test_a_native_trace_where_it_is_hidden_is_refused_before_anything_is_sent(
    name: str, monkeypatch: pytest.MonkeyPatch
):
    with named(monkeypatch, name) as server:
        said = refused(f"{name}/scripted", RequestOptions(trace="native"))
        assert server.stats["requests"] == 0
        assert resolve(f"{name}/scripted", RequestOptions()).hidden_trace
    assert said.endswith("use --trace written, which asks for a trace")
    assert PRESETS[name].title in said


@pytest.mark.parametrize("name", PRESETS)
def test_its_sampling_is_the_tables_and_the_users_wishes_go_over_it(name: str, monkeypatch: pytest.MonkeyPatch):
    preset = PRESETS[name]
    with named(monkeypatch, name):
        usual = resolve(f"{name}/scripted", RequestOptions()).sampling
        assert usual == {**preset.sampling, **preset.unthinking, preset.limit: 4096}
        teacher = resolve(
            f"{name}/scripted", RequestOptions(max_tokens=99, sampling={"temperature": 0.2, "top_p": 0.9})
        )
    assert teacher.sampling == {"temperature": 0.2, "top_p": 0.9, **preset.unthinking, preset.limit: 99}
    assert teacher.limit == 99


@pytest.mark.parametrize("trace", ["written", "guided", "native"])
def test_deepseek_does_not_think_where_the_thinking_would_be_thrown_away(trace: str, monkeypatch: pytest.MonkeyPatch):
    with named(monkeypatch, "deepseek"):
        sampling = resolve("deepseek/scripted", RequestOptions(trace=trace)).sampling
        own = resolve(
            "deepseek/scripted", RequestOptions(trace=trace, sampling={"thinking": {"type": "enabled"}})
        ).sampling
    assert sampling.get("thinking") == (None if trace == "native" else {"type": "disabled"})
    assert own["thinking"] == {"type": "enabled"}


def test_that_it_is_not_to_think_reaches_deepseek_with_every_request(
    questions: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with named(monkeypatch, "deepseek") as server:
        build(questions, "deepseek/scripted", tmp_path / "run", questions=2)
        assert {body["thinking"]["type"] for body in server.stats["bodies"]} == {"disabled"}


def test_thinking_that_is_not_shown_has_room_in_the_preflight(monkeypatch: pytest.MonkeyPatch):
    with named(monkeypatch, "openai") as server:
        preflight("openai/scripted")
        assert [body["max_completion_tokens"] for body in server.stats["bodies"]] == [1024]


# keys


@pytest.mark.parametrize("name", PAID)
def test_a_missing_key_names_its_variable_and_nothing_is_sent(name: str, monkeypatch: pytest.MonkeyPatch):
    with odd_server(lambda *_: (500, b""), lambda: pytest.fail("it was asked")) as server:
        monkeypatch.setitem(PRESETS, name, replace(PRESETS[name], url=server.url))
        monkeypatch.setenv(KEY_VARIABLE, "sk-of-somebody-else")
        said = refused(f"{name}/scripted")
        assert server.asked == []
    assert f"put it into the environment variable {PRESETS[name].key}" in said


@pytest.mark.parametrize("name", PAID)
def test_a_provider_is_asked_nothing_before_the_preflight(name: str, monkeypatch: pytest.MonkeyPatch):
    with odd_server(lambda *_: (500, b""), lambda: pytest.fail("it was asked")) as server:
        monkeypatch.setitem(PRESETS, name, replace(PRESETS[name], url=server.url))
        monkeypatch.setenv(PRESETS[name].key, "sk-1")
        teacher = resolve(f"{name}/some/model", RequestOptions())
        assert server.asked == []
    assert teacher.model == "some/model"
    assert teacher.identity == {"url": server.url, "served": "some/model", "quantisation": None}
    assert "sk-1" not in repr(teacher)
    assert f"{name} needs a model: --teacher {name}/MODEL" in refused(name)


@pytest.mark.parametrize("name", PRESETS)
def test_a_key_that_is_refused_names_its_variable(name: str, monkeypatch: pytest.MonkeyPatch):
    with named(monkeypatch, name, api_key="another"), pytest.raises(UserError) as raised:
        preflight(f"{name}/scripted")
    assert f"set it in the environment variable {PRESETS[name].key}" in str(raised.value)
    assert f"sk-of-{name}" not in str(raised.value)


def test_a_run_whose_key_is_gone_is_recomputed_from_what_it_remembers(
    questions: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with named(monkeypatch, "deepseek") as server:
        first = build(questions, "deepseek/scripted", tmp_path / "run", questions=3)
        before = server.stats["requests"]
        monkeypatch.delenv("DEEPSEEK_API_KEY")
        again = build(questions, "deepseek/scripted", tmp_path / "run", questions=3)
        assert server.stats["requests"] == before
    assert again.train.equals(first.train)


def test_a_model_that_a_provider_does_not_have_is_told_in_its_own_words(monkeypatch: pytest.MonkeyPatch):
    answer = {"error": {"message": "The model `gpt-99` does not exist"}}
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    with odd_server(lambda *_: (404, answer)) as server:
        monkeypatch.setitem(PRESETS, "openai", replace(PRESETS["openai"], url=server.url))
        with pytest.raises(UserError, match="`gpt-99` does not exist"):
            preflight("openai/gpt-99")


# servers of one's own


@pytest.mark.parametrize("name", OWN)
def test_the_model_may_be_left_out_where_one_is_served(name: str, monkeypatch: pytest.MonkeyPatch):
    with named(monkeypatch, name):
        assert resolve(name, RequestOptions()).model == "scripted"
        assert resolve(name, RequestOptions()).name == name
    with named(monkeypatch, name, models=("small", "large")):
        assert f"serves 2 models: name one, {name}/MODEL. ServedModel: small, large" in refused(name)
        assert f"{PRESETS[name].title} does not serve 'larg': did you mean large?" in refused(f"{name}/larg")


@pytest.mark.parametrize("name", ["lmstudio", "ollama"])
def test_the_one_that_is_loaded_is_taken_where_none_is_named(name: str, monkeypatch: pytest.MonkeyPatch):
    with named(monkeypatch, name, models=("small", "large"), loaded=("large",)):
        assert resolve(name, RequestOptions()).model == "large"


@pytest.mark.parametrize("name", OWN)
def test_a_server_that_is_not_there_is_a_sentence_with_its_address(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(PRESETS, name, replace(PRESETS[name], url="http://127.0.0.1:9/v1"))
    assert "no server answers at http://127.0.0.1:9" in refused(f"{name}/scripted")


@pytest.mark.parametrize("name", ["lmstudio", "ollama", "llamacpp"])
def test_another_server_at_its_address_is_a_sentence(name: str, monkeypatch: pytest.MonkeyPatch):
    with named(monkeypatch, name, dialect="plain"):
        assert "HTTP 404" in refused(f"{name}/scripted")


@pytest.mark.parametrize("discover", [discover_openai, discover_llamacpp, discover_lmstudio, discover_ollama])
@pytest.mark.parametrize("answer", [None, [], 7, {}, {"data": "m", "models": None}, {"data": {}, "models": {}}])
def test_what_is_no_list_of_models_is_a_sentence(discover: Any, answer: Any):
    with pytest.raises(UserError, match="lists no models"):
        discover("http://127.0.0.1:9/v1", lambda url: answer)


@pytest.mark.parametrize("discover", [discover_openai, discover_llamacpp, discover_lmstudio, discover_ollama])
def test_models_without_names_and_details_of_another_kind_are_passed_over(discover: Any):
    odd = [None, 7, {}, {"id": 3, "name": None}, {"id": "m", "name": "m", "meta": 1, "details": "x", "digest": 9}]
    served = discover("http://127.0.0.1:9/v1", lambda url: {"data": odd, "models": odd, "total_slots": "many"})
    assert list(served) == ["m"]
    assert (served["m"].quantisation, served["m"].context, served["m"].slots) == (None, None, None)


def test_ollamas_context_and_digest_are_the_teachers(monkeypatch: pytest.MonkeyPatch):
    with named(monkeypatch, "ollama", models=("qwen3:latest", "phi:3b"), loaded=("qwen3:latest",), context=3000):
        teacher = resolve("ollama/qwen3", RequestOptions())
        assert (teacher.name, teacher.model, teacher.context) == ("ollama/qwen3", "qwen3:latest", 3000)
        assert teacher.identity["quantisation"].startswith("Q4_K_M 0000")
        assert teacher.context_setting.startswith("OLLAMA_CONTEXT_LENGTH")
        said: list[str] = []
        other = resolve("ollama/phi:3b", RequestOptions(), say=said.append)
    assert other.context is None
    assert said == ["phi:3b is not loaded in Ollama yet, so that its context length is not known"]
    assert other.identity != teacher.identity


def test_llamacpps_slots_bound_the_choices_of_a_request(monkeypatch: pytest.MonkeyPatch):
    with named(monkeypatch, "llamacpp", slots=4, context=3000):
        teacher = resolve("llamacpp", RequestOptions())
        assert (teacher.slots, teacher.most_choices, teacher.context) == (4, 4, 3000)
        assert preflight("llamacpp").block == 4
    assert teacher.identity["quantisation"] == 91_000_000


def test_llamacpp_at_an_address_tells_its_slots_too(monkeypatch: pytest.MonkeyPatch):
    with ScriptedTeacher(dialect="llamacpp", slots=4, context=3000) as server:
        teacher = resolve(server.url, RequestOptions())
        assert (teacher.slots, teacher.most_choices, teacher.context) == (4, 4, 3000)
    with ScriptedTeacher() as server:
        assert resolve(server.url, RequestOptions()).slots is None


def test_vllms_checkpoint_and_context_are_the_teachers(monkeypatch: pytest.MonkeyPatch):
    with named(monkeypatch, "vllm", seeds="own", context=3000):
        teacher = resolve("vllm/scripted", RequestOptions())
        assert (teacher.identity["quantisation"], teacher.context) == ("scripted/scripted", 3000)
        assert preflight("vllm").block == 1


@pytest.mark.parametrize(
    ("told", "address"),
    [
        ("", "http://127.0.0.1:11434/v1"),
        ("gpu", "http://gpu:11434/v1"),
        ("gpu:1000", "http://gpu:1000/v1"),
        (":1000", "http://127.0.0.1:1000/v1"),
        ("0.0.0.0", "http://127.0.0.1:11434/v1"),
        ("0.0.0.0:1000", "http://127.0.0.1:1000/v1"),
        ("[::]:1000", "http://[::1]:1000/v1"),
        ("http://gpu:1000/", "http://gpu:1000/v1"),
        ("https://gpu/ollama", "https://gpu/ollama/v1"),
        (" http://gpu:1000/v1 ", "http://gpu:1000/v1"),
    ],
)
def test_ollama_is_asked_where_its_own_variable_says(told: str, address: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OLLAMA_HOST", told)
    assert PRESETS["ollama"].address() == address


@pytest.mark.parametrize("told", ["gpu:many", "http://[::1", "gpu:99999"])
def test_a_variable_that_holds_no_address_is_named(told: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OLLAMA_HOST", told)
    assert refused("ollama/qwen3") == "OLLAMA_HOST holds no address: it is HOST:PORT"


def test_ollama_at_the_address_in_its_variable_answers(monkeypatch: pytest.MonkeyPatch):
    with ScriptedTeacher(dialect="ollama") as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url.removesuffix("/v1"))
        assert resolve("ollama", RequestOptions()).identity["url"] == server.url


# the page


def rows() -> Iterator[str]:
    for name, preset in PRESETS.items():
        yield f"| `{name}` | {_address(preset)} | {_key(preset)} | {preset.concurrency} | {preset.most_choices} |"


def _address(preset: Preset) -> str:
    return f"`{preset.url}`" + (f", or `{preset.url_variable}`" if preset.url_variable else "")


def _key(preset: Preset) -> str:
    return f"`{preset.key}`" + ("" if preset.key_needed else ", if any")


@pytest.mark.parametrize("row", list(rows()))
def test_the_documentation_has_each_row_as_it_is_and_says_that_nobody_tried_it(row: str):
    page = (Path(__file__).parents[3] / "docs" / "teachers.md").read_text(encoding="utf-8")
    found = [line for line in page.splitlines() if line.startswith(row)]
    assert len(found) == 1
    preset = PRESETS[row.split("`")[1]]
    cells = [cell.strip() for cell in found[0].strip("|").split("|")]
    assert cells[5] == {None: "hidden", "<think> tags": "`<think>` tags"}.get(preset.trace, f"`{preset.trace}`")
    assert cells[6] == ("temperature 1" if preset.sampling else "none")
    assert cells[7] == f"`{preset.limit}`"
    assert cells[8] == ("yes" if preset.seeded else "no")
    assert cells[9] == "not tried live"
