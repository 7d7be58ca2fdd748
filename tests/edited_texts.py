"""Short texts, of which some are edits of others, drawn by hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

WORDS = st.sampled_from(
    ["tide", "bell", "lantern", "ash", "quartz", "orbit", "7", "42", "-7", "é", "为", "what", "?", ","]
)
TEXTS = st.lists(WORDS, min_size=1, max_size=14).map(" ".join)


@st.composite
def edited_texts(draw: st.DrawFn) -> list[str]:
    """Draw texts, and behind them some of the same with a character put in, left out or replaced."""
    texts = draw(st.lists(TEXTS, max_size=8))
    for _ in range(draw(st.integers(0, 6)) if texts else 0):
        text = draw(st.sampled_from(texts))
        at = draw(st.integers(0, len(text)))
        texts.append(text[:at] + draw(st.sampled_from(["", "x", " ", "."])) + text[at + draw(st.integers(0, 1)) :])
    return texts
