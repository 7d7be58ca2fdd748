"""Where students come from, and under which licence: what is known is told, and nothing else."""

from pathlib import Path

import pytest

from tunixhack.train.models.origin import hub_id, licence, model_id


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("google/gemma-3-1b-it", "google/gemma-3-1b-it"),
        ("Qwen/Qwen3-0.6B@main", "Qwen/Qwen3-0.6B"),
        ("gemma-3-270m", "google/gemma-3-270m"),
        ("smollm2-135m-instruct", "HuggingFaceTB/SmolLM2-135M-Instruct"),
        ("kaggle:google/gemma-3/transformers/gemma-3-1b-it/1", "google/gemma-3-1b-it"),
        ("kaggle:somebody/gemma-3/transformers/gemma-3-1b-it", None),
        ("/home/me/model", None),
        ("model.gguf", None),
    ],
)
def test_the_hubs_id_of_a_model(name, id):
    assert model_id(name, Path("/cache/model")) == id


def test_a_folder_is_not_taken_for_an_id(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "google" / "gemma-3-1b-it").mkdir(parents=True)
    assert hub_id("google/gemma-3-1b-it") is None
    assert model_id("google/gemma-3-1b-it", tmp_path / "google" / "gemma-3-1b-it") is None


def test_a_snapshot_of_the_hubs_cache_is_known_by_its_folder():
    folder = Path("/root/.cache/huggingface/hub/models--google--gemma-3-1b-it/snapshots/0123abc")
    assert model_id(str(folder), folder) == "google/gemma-3-1b-it"
    assert model_id("/a/snapshots/0123abc", Path("/a/snapshots/0123abc")) is None


@pytest.mark.parametrize(
    ("id", "known"),
    [
        ("google/gemma-3-270m-it", "gemma"),
        ("meta-llama/Llama-3.2-1B-Instruct", "llama3.2"),
        ("meta-llama/Llama-3.1-8B", "llama3.1"),
        ("Qwen/Qwen2.5-0.5B-Instruct", "apache-2.0"),
        ("Qwen/Qwen2.5-3B-Instruct", "other"),
        ("Qwen/Qwen3-4B", "apache-2.0"),
        ("HuggingFaceTB/SmolLM2-360M", "apache-2.0"),
        ("somebody/gemma-3-1b-it-finetuned", None),
        (None, None),
    ],
)
def test_known_licences(id, known):
    found = licence(id)
    assert (found and found["id"]) == known
    if known == "other":
        assert found == {
            "id": "other",
            "name": "qwen-research",
            "link": f"https://huggingface.co/{id}/blob/main/LICENSE",
        }


@pytest.mark.parametrize(
    ("card", "known"),
    [
        ("---\nlicense: mit\n---\n# A model", {"id": "mit"}),
        (
            "---\nlicense: other\nlicense_name: own\nlicense_link: https://example.com/L\n---\n",
            {"id": "other", "name": "own", "link": "https://example.com/L"},
        ),
        ("---\nlicense: other\nlicense_link: LICENSE\n---\n", {"id": "other"}),
        ("---\nlicense: [mit]\n---\n", {"id": "gemma"}),
        ("---\nlicense: 'a\\nb: c'\n---\n", {"id": "gemma"}),
        ("---\n{{{\n---\n", {"id": "gemma"}),
        ("# no front matter", {"id": "gemma"}),
        (None, {"id": "gemma"}),
    ],
)
def test_a_models_own_card_goes_before_what_is_known_of_its_id(tmp_path, card, known):
    if card is not None:
        (tmp_path / "README.md").write_text(card)
    assert licence("google/gemma-3-1b-it", tmp_path) == known
