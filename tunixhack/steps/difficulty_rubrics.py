"""Scales of difficulty for a judge: what a grade from 1 to 10 means for questions of a kind."""

from __future__ import annotations

from collections.abc import Mapping

MATH = """\
1: one operation on small numbers, or a fact that is learnt by heart.
2: two or three operations in a plain word problem.
3: several steps that follow one another in the order of the text; fractions, percentages, rates.
4: a problem of secondary school in which an equation has to be set up first.
5: several topics of secondary school at once, or a case distinction that is easy to forget.
6: the easier problems of a competition for schools: short, once the right idea is there.
7: problems for which a standard method has to be adapted, or a bound and an example have to be found.
8: the harder problems of a national competition, or an exercise of a first course at a university.
9: problems on which most prize winners of an olympiad fail, or an exercise for advanced students.
10: the hardest problems of international olympiads, or what would be a lemma of a research paper."""
CODE = """\
1: reading, computing one value, and printing it.
2: one loop or one condition over a list or a text.
3: a few loops, sorting or counting with a dictionary, some cases at the edges.
4: a textbook method: binary search, a stack, recursion, breadth-first search.
5: two such methods together, or a plain dynamic program.
6: a dynamic program or greedy choice that needs an argument; shortest paths; careful bounds of time.
7: data structures with updates (segment trees, union-find with more), or number theory and combinatorics.
8: a non-standard reduction, flows, text indices, geometry that is hard to get right.
9: several advanced methods that have to be joined by an observation which few find.
10: problems that nearly all teams of a world final leave unsolved."""
SCIENCE = """\
1: a fact from everyday life or primary school.
2: a term or definition from a school book.
3: a law or mechanism of school science, used once, in words or with one formula.
4: two laws in a row, or a unit and an order of magnitude that have to be watched.
5: a typical problem from the end of school, with several quantities.
6: a problem of a first year at university, or one that looks like another and is not.
7: a model has to be chosen and its assumptions checked before anything can be computed.
8: several fields at once, or a derivation of many steps; national olympiads.
9: advanced courses: little help from formulas, much from understanding; international olympiads.
10: questions on which specialists need hours, or which were research not long ago."""
WRITING = """\
1: a sentence or a list that anybody could write at once.
2: a short text without demands on form or content.
3: one demand, such as a tone, a length or a reader.
4: two or three demands that do not get in one another's way.
5: a form with rules (a sonnet, a dialogue, a formal letter), or material that has to be used faithfully.
6: demands that pull in different directions, or a point of view that is hard to keep.
7: a plan over several parts, in which what comes first prepares what comes last.
8: strict form and demanding content at once; subtext, irony or two readers to serve.
9: what experienced authors would need drafts for.
10: what only a few authors do well."""
GENERAL = """\
1: anybody can answer at once.
2: a moment's thought, or a look into one reference.
3: a few plain steps, or a little knowledge of the subject.
4: the knowledge of somebody who has learnt the subject at school.
5: several steps that depend on one another, or two sources that have to be brought together.
6: the knowledge of a student of the subject, or a trap that most run into.
7: a plan is needed before the first step, and results have to be checked against one another.
8: the work of a specialist.
9: hard even for specialists; most attempts fail.
10: only a few people could answer, after long work."""

RUBRICS: Mapping[str, str] = {
    "math": MATH,
    "code": CODE,
    "science": SCIENCE,
    "creative": WRITING,
    "brainstorm": WRITING,
    "rewrite": WRITING,
    "summarize": WRITING,
    "general": GENERAL,
}
"""Scales by the domain whose questions they grade; any other domain has that of ``general``. They are this package's
own: OpenThoughts' judge has a scale of difficulty for each domain, too, in other words."""
