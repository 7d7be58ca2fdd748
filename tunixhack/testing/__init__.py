"""Parts for tests, ours and yours: a scripted teacher, which is a real HTTP server, and toy questions.

From a shell, ``python -m tunixhack.testing --port 0`` serves until it is killed and prints its address first.
"""

from __future__ import annotations

from tunixhack.testing.behaviour import Behaviour, Faults
from tunixhack.testing.questions import toy_questions
from tunixhack.testing.teacher import ScriptedTeacher
from tunixhack.testing.tokenizer import ByteTokenizer

__all__ = ["Behaviour", "ByteTokenizer", "Faults", "ScriptedTeacher", "toy_questions"]
