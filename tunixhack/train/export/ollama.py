"""The Modelfile that Ollama makes a model of a GGUF file with: it reads no jinja template."""

from __future__ import annotations

from tunixhack.train.data.chat import Renderer


def modelfile(file: str, renderer: Renderer) -> str | None:
    """Write a Modelfile, for ``ollama create NAME -f Modelfile``.

    Args:
        file: name of the GGUF file beside it.
        renderer: what the student was trained under.

    Returns:
        Its text; None where the system text has three quotes in a row, which no Modelfile can hold.
    """
    chat = renderer.chat
    system = renderer.content((renderer.system or "").strip())
    if '"""' in system:
        return None
    if chat.system is None:
        before, inside = "", "{{ if .System }}{{ .System }}\n\n{{ end }}"
    else:
        before = f"{{{{ if .System }}}}{chat.start}{chat.system}\n{{{{ .System }}}}{chat.end}\n{{{{ end }}}}"
        inside = ""
    template = (
        f"{before}{chat.start}user\n{inside}{{{{ .Prompt }}}}{chat.end}\n"
        f"{chat.start}{chat.assistant}\n{{{{ .Response }}}}{chat.end}\n"
    )
    lines = [f"FROM ./{file}", f'TEMPLATE """{template}"""', f'PARAMETER stop "{chat.end}"']
    if system:
        lines.append(f'SYSTEM """{system}"""')
    return "\n".join(lines) + "\n"
