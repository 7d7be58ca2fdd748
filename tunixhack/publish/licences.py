"""A source's licence as the Hub's cards name it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tunixhack._util.safe_text import for_yaml

_IDENTIFIERS = """
apache-2.0 mit openrail bigscience-openrail-m bigscience-bloom-rail-1.0 creativeml-openrail-m bigcode-openrail-m
openrail++ deepfloyd-if-license llama2 gemma afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause
bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0
cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0
cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0
epl-2.0 etalab-2.0 eupl-1.1 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc lppl-1.3c ms-pl mpl-2.0
odc-by odbl osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl lgpl-lr unknown other
"""
KNOWN = frozenset(_IDENTIFIERS.split())
"""Identifiers that the Hub takes as ``license`` (https://huggingface.co/docs/hub/repositories-licenses); any other
licence is ``other``, with a name of its own."""


def front_matter(licence: str | None) -> dict[str, str]:
    """Return what the front matter of a card says of a licence.

    Args:
        licence: as a recipe's source names it; None where it is not known.

    Returns:
        ``license``, and ``license_name`` where it is none that the Hub knows.

    >>> front_matter("CC BY-NC 4.0"), front_matter(None)
    ({'license': 'cc-by-nc-4.0'}, {'license': 'unknown'})
    >>> front_matter("Our terms, 2nd edition")
    {'license': 'other', 'license_name': 'our-terms-2nd-edition'}
    """
    name = re.sub(r"[^a-z0-9.+]+", "-", (licence or "").lower()).strip("-.")
    if not name:
        return {"license": "unknown" if not licence else "other"}
    return {"license": name} if name in KNOWN else {"license": "other", "license_name": name}


def header(licence: str | None, files: str = "train.parquet") -> list[str]:
    """Return the lines of front matter that make a folder a Hub dataset of its kept answers, and of nothing else.

    Args:
        licence: as a recipe's source names it; None where it is not known.
        files: the name of the kept answers' file, or a pattern with a star for several.
    """
    return [
        "---",
        *(f"{name}: {for_yaml(value)}" for name, value in front_matter(licence).items()),
        "task_categories: [text-generation]",
        "tags: [reasoning, synthetic, tunixhack]",
        "configs:",
        "- config_name: default",
        f"  data_files: [{{split: train, path: {for_yaml(files) if '*' in files else files}}}]",
        "---",
    ]


def strictest(licences: Mapping[str, str | None]) -> tuple[str | None, list[str]]:
    """Find the licence that leaves the least freedom to who uses several datasets as one.

    From the freest to the strictest: public domain; attribution alone (MIT, Apache, CC BY); share-alike and copyleft;
    terms of use of their own (such as Gemma's or an OpenRAIL's); not for sale (NC); no changes (ND); not known. NC
    and ND together with share-alike are stricter than without. This is no legal advice.

    Args:
        licences: what each dataset is called, and its licence as the Hub spells it; None where it is not known.

    Returns:
        The licence, None where one is not known; and the datasets that have it.

    >>> strictest({"poems": "apache-2.0", "trivia": "cc-by-sa-3.0", "ideas": "cc-by-nc-4.0"})
    ('cc-by-nc-4.0', ['ideas'])
    """
    found = max(licences.values(), key=lambda one: (_strictness(one), one or ""))
    return found, [name for name, licence in licences.items() if licence == found]


def _strictness(licence: str | None) -> int:
    name = front_matter(licence)["license"]
    if name in ("unknown", "other"):
        return 9 if name == "unknown" else 4
    words = set(name.split("-"))
    limits = 6 * ("nd" in words) + 5 * ("nc" in words and "nd" not in words)
    if limits:
        return limits + ("nc" in words and "nd" in words) + 0
    if name.startswith(_COPYLEFT) or "sa" in words or "sharing" in words:
        return 3
    if name in _FREE:
        return 0
    return 4 if "openrail" in name or "rail" in words or name in ("gemma", "llama2", "c-uda") else 1


_FREE = ("cc0-1.0", "unlicense", "pddl", "wtfpl")
_COPYLEFT = ("gpl", "lgpl", "agpl", "gfdl", "odbl", "mpl", "epl", "eupl", "osl", "cecill", "lgpl-lr", "ms-pl")
