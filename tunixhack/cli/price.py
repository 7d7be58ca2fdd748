"""``tunixhack price``: what a build would cost."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tunixhack._util.safe_text import print_result
from tunixhack.cli.help import examples
from tunixhack.cli.train import Json
from tunixhack.errors import UserError

EXAMPLES = examples(
    "tunixhack price math --teacher openai/gpt-4.1-mini --questions 5000 --batch",
    "tunixhack price math --teacher openai/gpt-4.1-mini --questions 5000 --like runs/math",
    "tunixhack price math --teacher openai/gpt-4.1-mini --accepted 5000 --ceiling 1000 --like runs/math",
)


def price(
    domain: Annotated[str, typer.Argument(help="A domain's name, or the path of a domain file.")],
    teacher: Annotated[str, typer.Option(help="As after --teacher of build; no key is needed.")],
    questions: Annotated[int | None, typer.Option(help="Questions that are sent for samples.")] = None,
    accepted: Annotated[int | None, typer.Option(help="Answers that are kept, instead; needs --ceiling.")] = None,
    ceiling: Annotated[int | None, typer.Option(help="The most questions to ask for --accepted.")] = None,
    samples: Annotated[int | None, typer.Option(help="Answers to each question.")] = None,
    trace: Annotated[str | None, typer.Option(help="native, written or guided.")] = None,
    batch: Annotated[bool, typer.Option("--batch", help="At the price of batches.")] = False,
    prompt_tokens: Annotated[int | None, typer.Option(help="Of one request; else by the domain's own prompts.")] = None,
    answer_tokens: Annotated[int | None, typer.Option(help="Of one answer; else by the kind of trace.")] = None,
    like: Annotated[
        Path | None,
        typer.Option(help="A run or its address, or its pilot or preview, whose answers' tokens are taken."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Tell what a build would cost, by a table of prices and stated assumptions; nothing is asked."""
    print("loading …", file=sys.stderr, flush=True)
    from tunixhack.domain_files import find
    from tunixhack.pipeline.accepted_estimate import AcceptedEstimate, estimate_accepted
    from tunixhack.pipeline.estimate import Estimate, estimate

    changes = {name: value for name, value in (("samples", samples), ("trace", trace)) if value is not None}
    recipe = find(domain).replace(**changes)
    assumed: dict[str, Any] = {
        "batch": batch,
        "like": like,
        "prompt_tokens": prompt_tokens,
        "answer_tokens": answer_tokens,
    }
    found: Estimate | AcceptedEstimate
    if questions is not None and accepted is None and ceiling is None:
        found = estimate(recipe, teacher, questions, **assumed)
    elif questions is None and accepted is not None and ceiling is not None:
        found = estimate_accepted(recipe, teacher, accepted, ceiling, **assumed)
    else:
        raise UserError("say what the price is of: either --questions N, or --accepted N with --ceiling M")
    print_result("\n".join(found.lines()), found.as_dict() if as_json else None)
