"""Seconds until a run's report of 100,000 rows shows its first rows, in a real browser, and what writing it takes.

The rows are answers of about 2,000 characters, 16 to a question, every tenth rejected, of words that are as frequent as
those of a language. Chromium opens the page from the disk, in a fresh window a round. The peer is the same rows as one
plain HTML table, fewer of them, which the browser lays out as a whole.

Prints ``report_first_rows_seconds``: from the opening until the first rows are drawn (goal: < 2);
``report_loaded_seconds``: until the whole file is read; ``report_page_seconds``: from there to a page in the middle;
``report_search_seconds``: until a word of the last question is found; ``report_vs_table``: the first of these over the
same of a table of as many rows; ``report_write_seconds``, ``report_write_peak_mb``, and ``report_bytes``: the file over
the characters of the answers. Ends with 1 where the goal is missed; measures nothing where there is no browser.

    python benchmarks/report_seconds.py [--rows 100000] [--table-rows 10000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import html
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.many_rows import OFTEN, VOCABULARY
from tests.browser import WHY_NOT, Browser, browser, find
from tunixhack.report.write import write_report
from tunixhack.runs.run import Run
from tunixhack.runs.schema import CORE, REJECTION, conform

MOST_SECONDS = 2.0
SAMPLES = 16
NEEDLE = "quetzalcoatl"
WHEN = """new MutationObserver((_, observer) => {
  if (document.documentElement.dataset.ready === undefined) return;
  observer.disconnect();
  requestAnimationFrame(() => requestAnimationFrame(() => { window.firstRows = performance.now(); }));
}).observe(document, { attributes: true, subtree: true, attributeFilter: ["data-ready"] });"""
"""Notes when the rows are drawn: two frames after the page says that they are there."""


def make_run(folder: Path, rows: int) -> int:
    """Write a run's tables; returns the characters of its answers."""
    draw = random.Random(0)
    said = [" ".join(draw.choices(VOCABULARY, OFTEN, k=5000)) for _ in range(200)]

    def text(size: int) -> str:
        whole = draw.choice(said)
        start = draw.randrange(len(whole) - size)
        return whole[start : start + size // 2] + draw.choice(said)[: size - size // 2]

    questions = [f"{at:016x}" for at in range(-(-rows // SAMPLES))]
    table = pl.DataFrame(
        {
            "question_id": [questions[at // SAMPLES] for at in range(rows)],
            "sample": [at % SAMPLES for at in range(rows)],
            "question": [f"Question {at // SAMPLES}: why?" for at in range(rows)],
            "category": [f"c{at // SAMPLES % 7}" for at in range(rows)],
            "reasoning": [text(draw.randrange(800, 2200)) for _ in range(rows)],
            "answer": [text(draw.randrange(200, 800)) for _ in range(rows - 1)] + [NEEDLE],
            "judge_score": [draw.random() for _ in range(rows)],
        }
    )
    tenth = pl.col("sample") == 7
    why = {"step": pl.lit("max_length"), "reason": pl.lit("over_length"), "evidence": pl.lit('{"length": 4000}')}
    conform(table.filter(~tenth), CORE).write_parquet(folder / "train.parquet")
    conform(table.filter(tenth).with_columns(**why), CORE | REJECTION).write_parquet(folder / "rejected.parquet")
    state = {"domain": "toy", "source": {}, "state": "done", "funnel": [], "teachers": {}}
    (folder / "run.json").write_text(json.dumps(state))
    return int(table.select((pl.col("reasoning") + pl.col("answer")).str.len_chars().sum()).item())


def write_table(folder: Path, rows: int) -> Path:
    """Write a run's first rows as a plain table."""
    path = folder / "table.html"
    names = ["question_id", "sample", "question", "reasoning", "answer", "judge_score"]
    with path.open("w", encoding="utf-8") as file:
        file.write("<!doctype html><meta charset=utf-8><table>")
        for row in Run(folder).train.head(rows).select(names).iter_rows():
            file.write(f"<tr>{''.join(f'<td>{html.escape(str(cell))}' for cell in row)}\n")
        file.write("</table>")
    return path


def write_in_process(folder: Path) -> tuple[float, int]:
    """Write the report in a process of its own; returns the seconds and the peak memory in MB."""
    code = (
        "import sys, time, resource; from pathlib import Path; from tunixhack.report.write import write_report; "
        "from tunixhack.runs.run import Run; start = time.perf_counter(); write_report(Run(Path(sys.argv[1]))); "
        "print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    told = subprocess.run([sys.executable, "-c", code, folder], check=True, capture_output=True, text=True).stdout
    seconds, peak = told.split()
    return float(seconds), int(peak)


def opened(tab: Browser, page: Path) -> tuple[float, float]:
    """Open a page; returns the seconds until its first rows and until all of it is read."""
    tab("Page.addScriptToEvaluateOnNewDocument", source=WHEN)
    tab.open(page)
    tab.until("window.firstRows && performance.getEntriesByType('navigation')[0].loadEventEnd > 0")
    first, loaded = tab.run("[window.firstRows, performance.getEntriesByType('navigation')[0].loadEventEnd]")
    return first / 1000, loaded / 1000


def table_opened(tab: Browser, page: Path) -> float:
    """Open a plain table; returns the seconds until it is drawn."""
    tab("Page.navigate", url=page.resolve().as_uri())
    tab.until("document.readyState === 'complete'")
    drawn = "new Promise(go => requestAnimationFrame(() => requestAnimationFrame(() => go(performance.now()))))"
    return float(tab.run(drawn)) / 1000


def timed(tab: Browser, act: str, condition: str) -> float:
    """Do something in the page, and return the seconds until a condition holds."""
    start = time.perf_counter()
    tab.run(act)
    tab.until(condition)
    return time.perf_counter() - start


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="Seconds until a report shows its rows.")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--table-rows", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    if find() is None:
        print(f"  {WHY_NOT}; nothing is measured")
        return 0
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        characters = make_run(folder, asked.rows)
        seconds, peak = write_in_process(folder)
        page = folder / "report.html"
        (few := folder / "few").mkdir()
        make_run(few, asked.table_rows)
        small, table = write_report(Run(few)), write_table(few, asked.table_rows)
        for _ in range(asked.rounds):
            with browser() as tab:
                first, loaded = opened(tab, page)
                middle = asked.rows // SAMPLES // 16
                turn = f"page.value = {middle}; page.dispatchEvent(new Event('change'))"
                there = f"document.querySelector('.entry h3')?.textContent.includes('Question {(middle - 1) * 8}:')"
                turned = timed(tab, f"{{ const page = document.getElementById('page'); {turn} }}", there)
                look = f"box.value = '{NEEDLE}'; box.dispatchEvent(new Event('input'))"
                hit = "document.querySelector('#entries mark') && !/searching/.test(status.textContent)"
                searched = timed(
                    tab,
                    f"{{ const box = document.getElementById('search'); {look} }}",
                    hit.replace("status", "document.getElementById('status')"),
                )
            with browser() as tab:
                one = opened(tab, small)[0]
            with browser() as tab:
                ratio = one / table_opened(tab, table)
            told = {"first_rows_seconds": first, "loaded_seconds": loaded, "page_seconds": turned}
            told |= {"search_seconds": searched, "vs_table": ratio}
            print(f"  {told}", flush=True)
            for measure, value in told.items():
                found.setdefault(measure, []).append(value)
        size = page.stat().st_size
    for measure, values in found.items():
        print(f"report_{measure}: {statistics.median(values):.3f}")
    print(f"report_write_seconds: {seconds:.1f}")
    print(f"report_write_peak_mb: {peak}")
    print(f"report_bytes: {size / characters:.2f}  ({size / 1e6:.0f} MB)")
    return int(statistics.median(found["first_rows_seconds"]) >= MOST_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
