"""Whether a text is in a language, told by its letters and its most common words.

Languages of one script are told apart by their most common words, others by their letters: a text is in another
language where that one's stand out in it, so that formulas, code and names count for nothing.
"""

from __future__ import annotations

import polars as pl

_WORDS = {
    "en": "the and of to is that in it for with are this be as was not you have from",
    "de": "der die das und ist nicht ein eine mit den von zu auf für sich dem auch wird sind",
    "fr": "le la les et est une des que dans pour qui sur pas avec sont du au ce cette",
    "es": "el los las una que por con para del como está pero más son es se su y",
    "it": "il che di una per non sono con della gli nel come più questo è anche dei alla",
    "pt": "que não uma os para com dos como mais por são isso você também ao na em é",
    "nl": "het een van en niet met voor zijn dat op aan ook worden deze wordt bij",
}
"""Words that texts of a language are full of, and others have few of."""
_SCRIPTS = {
    "zh": r"\p{Han}",
    "ja": r"\p{Hiragana}|\p{Katakana}|\p{Han}",
    "ko": r"\p{Hangul}",
    "ru": r"\p{Cyrillic}",
    "uk": r"\p{Cyrillic}",
    "ar": r"\p{Arabic}",
    "fa": r"\p{Arabic}",
    "he": r"\p{Hebrew}",
    "el": r"\p{Greek}",
    "hi": r"\p{Devanagari}",
    "th": r"\p{Thai}",
}
LANGUAGES = (*_WORDS, *_SCRIPTS)
"""The languages that can be asked for."""
PIECE = 2000
"""Characters of a text by which its language is told, at most."""
_LEAST = 60
"""Letters that it has to have; fewer do not tell."""
_LEAST_WORDS = 8


def in_another_language(text: pl.Expr, language: str) -> pl.Expr:
    """Tell whether texts are in another language than one of `LANGUAGES`; a null is in none.

    Args:
        text: texts of at most `PIECE` characters.
        language: as ``en``.

    >>> texts = pl.Series(["Der Hund ist nicht das, was du mit dem Wort von der Katze auf den Tisch und in die Welt "
    ...                    "hinein gerufen hast.", "The dog is not what you called it."])
    >>> pl.select(in_another_language(pl.lit(texts), "en")).to_series().to_list()
    [True, False]
    """
    letters = text.str.count_matches(r"\p{L}")
    own = text.str.count_matches(_SCRIPTS.get(language, r"\p{Latin}"))
    wrong = (letters >= _LEAST) & (own * 3 < letters)
    if language in _WORDS:
        bare = text.str.replace_all(r"```[^`]*```|`[^`\n]*`", " ")
        hits = {name: bare.str.count_matches(_either(words)) for name, words in _WORDS.items()}
        others = pl.max_horizontal(*(hits[name] for name in _WORDS if name != language))
        wrong = wrong | ((others >= _LEAST_WORDS) & (others > hits[language] * 3))
    return wrong.fill_null(False)


def _either(words: str) -> str:
    return rf"(?i)\b(?:{'|'.join(words.split())})\b"
