"""Riddles, put to the teacher in a voice of their own: a domain file as a user keeps it beside the questions."""

from tunixhack.recipes import creative


class Riddles(creative.recipe.llm):
    def prompt(self, row):
        return [
            {"role": "system", "content": "You like riddles. Reason first, then give the answer in one line."},
            {"role": "user", "content": f"Solve this riddle: {row['question']}"},
        ]


recipe = creative.recipe.replace(domain="riddles", llm=Riddles, source="riddles.jsonl", samples=3, max_tokens=512)
