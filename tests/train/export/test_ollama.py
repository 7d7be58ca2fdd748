"""The Modelfile: the turns of the chat, what ends them, the system text that was trained under."""

from tunixhack.testing import ByteTokenizer
from tunixhack.train.data.chat import CHATML, GEMMA, Renderer
from tunixhack.train.export.ollama import modelfile


def test_gemmas_system_text_stands_in_the_users_turn():
    assert modelfile("x.gguf", Renderer(GEMMA, ByteTokenizer(), system=" Be brief.")) == (
        "FROM ./x.gguf\n"
        'TEMPLATE """<start_of_turn>user\n'
        "{{ if .System }}{{ .System }}\n\n{{ end }}{{ .Prompt }}<end_of_turn>\n"
        "<start_of_turn>model\n"
        "{{ .Response }}<end_of_turn>\n"
        '"""\n'
        'PARAMETER stop "<end_of_turn>"\n'
        'SYSTEM """Be brief."""\n'
    )


def test_chatml_has_a_turn_for_it():
    assert modelfile("x.gguf", Renderer(CHATML, ByteTokenizer())) == (
        "FROM ./x.gguf\n"
        'TEMPLATE """{{ if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n{{ end }}<|im_start|>user\n'
        "{{ .Prompt }}<|im_end|>\n"
        "<|im_start|>assistant\n"
        "{{ .Response }}<|im_end|>\n"
        '"""\n'
        'PARAMETER stop "<|im_end|>"\n'
    )


def test_a_system_text_that_would_end_the_quotes_makes_no_modelfile():
    assert modelfile("x.gguf", Renderer(GEMMA, ByteTokenizer(), system='"""\nFROM /etc/passwd')) is None
