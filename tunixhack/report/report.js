"use strict";
// Everything that a model, a server or a source wrote becomes text nodes: no markup is made of data anywhere in here.
(() => {
  const ANSWERS = 0, REPEATS = 1, MATCH = 2;
  const KINDS = ["Questions with answers", "Repeated questions", "Found in a benchmark", "Other questions left out"];
  const PER_PAGE = 8, CLAMP = 1500, SHORT = 200, MOST_MARKS = 2000, MOST_WORDS = 600, MOST_FACTS = 200, MOST_CHOICES = 1000, CACHED = 12;
  const $ = (id) => document.getElementById(id);
  const place = { kind: 0, page: 0, needle: null, shown: "" };
  let index, starts, list = [], searching = 0, hits = null;

  // Making elements

  function make(name, classes, ...inner) {
    const made = document.createElement(name);
    if (classes) made.className = classes;
    made.append(...inner.filter((one) => one !== null && one !== undefined));
    return made;
  }

  function button(words, act) {
    const made = make("button", "plain", words);
    made.type = "button";
    made.addEventListener("click", act);
    return made;
  }

  // What is not seen, or turns the direction of a text, is shown by its number.
  const UNSEEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\r(?!\n)|[\u{e0000}-\u{e007f}]|\p{Cs}/gu;

  // `marked` tells which pieces of a text stand out: a pattern, or a list of [from, to].
  function write(target, text, marked) {
    const spans = Array.isArray(marked) ? marked : marked ? found(text, marked) : [];
    let at = 0;
    for (const [from, to] of spans) {
      if (from >= text.length) break;
      plain(target, text.slice(at, from));
      target.append(plain(make("mark"), text.slice(from, to)));
      at = to;
    }
    return plain(target, text.slice(at));
  }

  function found(text, pattern) {
    const spans = [];
    for (const one of text.matchAll(new RegExp(pattern.source, "giu"))) {
      if (spans.length === MOST_MARKS || !one[0]) break;
      spans.push([one.index, one.index + one[0].length]);
    }
    return spans;
  }

  function plain(target, text) {
    let at = 0, marks = 0;
    for (const one of text.matchAll(UNSEEN)) {
      if (++marks > MOST_MARKS) break;
      const number = one[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
      target.append(text.slice(at, one.index), make("span", "unseen", "U+" + number));
      at = one.index + one[0].length;
    }
    target.append(text.slice(at));
    return target;
  }

  function textBlock(text, marked, cut) {
    const block = make("div", "text");
    block.dir = "auto";
    const long = text.length > CLAMP * 1.2;
    // what was searched for is seen, wherever in a long text it stands
    const first = long && marked instanceof RegExp ? text.search(marked) : 0;
    const from = first > CLAMP * 0.8 ? first - 200 : 0;
    const fill = (whole) => {
      block.replaceChildren();
      if (whole) write(block, text, marked);
      else write(block, (from ? "…" : "") + text.slice(from, from + CLAMP) + (from + CLAMP < text.length ? "…" : ""), marked);
    };
    const around = make("div", "", block);
    fill(!long);
    if (long) {
      const more = button("", () => { more.setAttribute("aria-expanded", String(more.getAttribute("aria-expanded") === "false")); show(); });
      const show = () => {
        const open = more.getAttribute("aria-expanded") === "true";
        more.textContent = open ? "Show less" : `Show all ${text.length.toLocaleString("en")} characters`;
        fill(open);
      };
      more.setAttribute("aria-expanded", "false");
      show();
      around.append(more);
    }
    if (cut) around.append(make("p", "note", `Only the first ${index.longest.toLocaleString("en")} characters are in this report; the run's tables have the rest.`));
    return around;
  }

  function words(value) {
    if (value === null || value === undefined) return "none";
    return typeof value === "string" ? value : JSON.stringify(value);
  }

  function parsed(text) {
    try { return JSON.parse(text); } catch { return text; }
  }

  // Data of a step's own shape: names and values below one another, as deep as a person reads.
  function facts(told, marked, depth = 0) {
    const shown = make("dl", "facts");
    for (const [name, value] of Object.entries(told).slice(0, MOST_FACTS)) {
      shown.append(write(make("dt"), name), make("dd", "", nested(value, marked, depth)));
    }
    return shown;
  }

  function nested(value, marked, depth) {
    if (value === null || typeof value !== "object" || depth === 4) return textBlock(words(value), marked);
    if (!Array.isArray(value)) return facts(value, marked, depth + 1);
    const simple = value.every((one) => one === null || typeof one !== "object");
    if (simple) return textBlock(value.map(words).join(", "), marked);
    return make("ol", "", ...value.slice(0, MOST_FACTS).map((one) => make("li", "", nested(one, marked, depth + 1))));
  }

  // Reading the data: a block is decoded when it is shown or searched

  async function block(id) {
    for (;;) {
      const found = $(id);
      if (found && (found.nextElementSibling || document.readyState !== "loading")) return unpacked(found.textContent);
      await new Promise((resume) => setTimeout(resume, 15));
    }
  }

  async function unpacked(packed) {
    const raw = atob(packed), bytes = new Uint8Array(raw.length);
    for (let at = 0; at < raw.length; at++) bytes[at] = raw.charCodeAt(at);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  }

  const cache = new Map();

  function chunk(number) {
    const known = cache.get(number) || block("rows-" + number).then(JSON.parse);
    cache.delete(number);
    cache.set(number, known);
    if (cache.size > CACHED) cache.delete(cache.keys().next().value);
    return known;
  }

  async function entry(number) {
    const rows = await chunk(index.entries.chunk[number]);
    return rows[number - index.firsts[index.entries.chunk[number]]];
  }

  // Which entries are listed

  const chosen = (id) => $(id).value;

  function rowPasses(row) {
    const reason = index.rows.reason[row];
    if (chosen("state") === "kept" && reason >= 0) return false;
    if (chosen("state") === "rejected" && reason < 0) return false;
    if (chosen("reason") !== "" && reason !== Number(chosen("reason"))) return false;
    for (const score of index.scores) {
      if (!score.select || score.select.value === "") continue;
      if (String(score.values[row]) !== score.select.value) return false;
    }
    return hits === null || hits[row] === 1;
  }

  function filtered() {
    const told = index.entries, found = [];
    const category = chosen("category"), part = chosen("part");
    for (let at = 0; at < told.kind.length; at++) {
      if (told.kind[at] !== place.kind) continue;
      if (category !== "" && told.category[at] !== Number(category)) continue;
      if (part !== "" && told.part[at] !== Number(part)) continue;
      for (let row = starts[at]; row < starts[at + 1]; row++) {
        if (rowPasses(row)) { found.push(at); break; }
      }
    }
    return sorted(found);
  }

  function sorted(found) {
    const [name, way] = chosen("order").split("|");
    if (!name) return found;
    const values = name === "trace" || name === "answer" ? index.rows[name] : index.scores[Number(name)].values;
    const keys = new Map(found.map((at) => {
      const known = [];
      for (let row = starts[at]; row < starts[at + 1]; row++) {
        if (values[row] !== null && rowPasses(row)) known.push(Number(values[row]));
      }
      if (!known.length) return [at, null];
      return [at, known.reduce((a, b) => (way === "up" ? Math.min(a, b) : Math.max(a, b)))];
    }));
    const sign = way === "up" ? 1 : -1;
    return found.sort((a, b) => {
      const [x, y] = [keys.get(a), keys.get(b)];
      return x === null || y === null ? (x === null) - (y === null) : sign * (x - y) || a - b;
    });
  }

  // Searching: block by block, so that what is found is shown meanwhile

  async function search(needle) {
    const mine = ++searching;
    place.needle = needle ? new RegExp(needle.replace(/[.*+?^${}()|[\]\\\/]/g, "\\$&"), "iu") : null;
    hits = null;
    if (!needle) return refresh();
    hits = new Uint8Array(starts[starts.length - 1]);
    // what JSON writes as it is can be looked for before a block is parsed
    const asWritten = /["\\\u0000-\u001f]/.test(needle) ? null : place.needle;
    const numbers = [...Array(index.chunks).keys()].filter((number) => index.kindsOf[number].has(place.kind));
    let told = performance.now(), next = numbers.length ? block("rows-" + numbers[0]) : null;
    for (const [at, number] of numbers.entries()) {
      const text = await next;
      if (mine !== searching) return;
      next = at + 1 < numbers.length ? block("rows-" + numbers[at + 1]) : null;
      if (!asWritten || asWritten.test(text)) {
        JSON.parse(text).forEach((one, offset) => look(one, index.firsts[number] + offset));
      }
      if (performance.now() - told > 150) {
        refresh(true, `searching, ${Math.round(100 * (at + 1) / numbers.length)} % …`);
        await new Promise((resume) => setTimeout(resume));
        if (mine !== searching) return;
        told = performance.now();
      }
    }
    return refresh(true);
  }

  function look(one, at) {
    const has = (...texts) => texts.some((text) => typeof text === "string" && place.needle.test(text));
    const whole = has(one.question, one.id, one.context, one.reference, one.support, one.category, one.part, one.source);
    one.rows.forEach((row, number) => {
      const more = row.more ? Object.values(row.more) : [];
      if (whole || has(row.question, row.reasoning, row.answer, row.evidence, ...more)) hits[starts[at] + number] = 1;
    });
  }

  // Showing a page of entries

  let drawing = 0;

  async function refresh(keepPage, progress) {
    list = filtered();
    if (!keepPage) place.page = 0;
    const pages = Math.max(1, Math.ceil(list.length / PER_PAGE));
    place.page = Math.min(Math.max(place.page, 0), pages - 1);
    const noun = place.kind === REPEATS ? ["group", "groups"] : ["question", "questions"];
    $("status").textContent = `${list.length.toLocaleString("en")} ${noun[list.length === 1 ? 0 : 1]}` + (progress ? `; ${progress}` : "");
    $("pages").hidden = pages < 2;
    $("page").max = pages;
    $("page").value = place.page + 1;
    $("of").textContent = `of ${pages.toLocaleString("en")}`;
    $("previous").disabled = place.page === 0;
    $("next").disabled = place.page === pages - 1;
    const page = list.slice(place.page * PER_PAGE, (place.page + 1) * PER_PAGE), key = page.join();
    if (progress && key === place.shown) return;  // a search that goes on leaves what is being read as it is
    const mine = ++drawing, drawn = [];
    for (const at of page) drawn.push(draw(await entry(at), at));
    if (mine !== drawing) return;
    $("entries").replaceChildren(...drawn);
    place.shown = key;
  }

  function draw(one, at) {
    const made = make("article", "entry");
    const title = make("h3", "", textBlock(one.question ?? "(no question could be read)", questionMarks(one)));
    if (place.kind === REPEATS) made.append(make("h5", "first", "Kept"));
    made.append(title, about(one, at));
    for (const name of ["context", "reference", "support"]) {
      if (!one[name]) continue;
      if (one[name].length < SHORT) made.append(write(make("p", "about"), `${name}: ${one[name]}`, place.needle));
      else made.append(folded(name, textBlock(one[name], place.needle)));
    }
    if (place.kind === ANSWERS) return samples(made, one, at);
    const list = make("div", "samples");
    one.rows.forEach((row) => list.append(place.kind === REPEATS ? repeat(row, one) : dropped(row, one)));
    made.append(list);
    return made;
  }

  function questionMarks(one) {
    if (place.needle || place.kind !== MATCH) return place.needle;
    const told = parsed(one.rows[0].evidence);
    return told && typeof told.text === "string" ? compared(one.question, told.text, true) : null;
  }

  function folded(name, ...inner) {
    return make("details", "", make("summary", "", name), ...inner);
  }

  function about(one, at) {
    const told = [one.id && `question ${one.id}`, one.category, one.part && `part ${one.part}`, one.source];
    return write(make("p", "about"), told.filter(Boolean).join(" · "), place.needle);
  }

  function samples(made, one, at) {
    const shared = common(one.rows);
    made.append(measures(shared));
    const passing = make("div", "samples"), others = make("div", "samples");
    one.rows.forEach((row, number) => (rowPasses(starts[at] + number) ? passing : others).append(sample(row, shared)));
    made.append(passing);
    const count = others.childElementCount;
    if (count) made.append(folded(count === 1 ? "1 other sample of this question" : `${count} other samples of this question`, others));
    return made;
  }

  // What all samples of a question have in common is said once, above them.
  function common(rows) {
    const found = Object.create(null);
    if (rows.length < 2) return found;
    for (const [name, value] of Object.entries(rows[0].more || {})) {
      if (rows.every((row) => row.more && row.more[name] === value)) found[name] = value;
    }
    return found;
  }

  function badge(row) {
    if (!row.step) return make("span", "badge kept", "kept");
    return write(make("span", "badge rejected"), "rejected: " + (row.step === row.reason ? row.step : `${row.step} ${row.reason ?? ""}`));
  }

  function card(row, name) {
    const made = make("section", row.step ? "sample rejected" : "sample kept");
    made.append(make("h4", "", name + " ", badge(row)));
    return made;
  }

  function sample(row, shared) {
    const made = card(row, `Sample ${row.sample}`);
    const told = [row.teacher, row.completion_tokens && `${row.completion_tokens.toLocaleString("en")} tokens`, row.finish_reason && `finish: ${row.finish_reason}`];
    made.append(write(make("p", "about"), told.filter(Boolean).join(" · ")));
    made.append(measures(row.more || {}, shared));
    evidence(made, row);
    for (const [field, title] of [["reasoning", "Trace"], ["answer", "Answer"]]) {
      if (typeof row[field] !== "string") continue;
      made.append(make("h5", "", title), textBlock(row[field], place.needle, (row.cut || []).includes(field)));
    }
    return made;
  }

  function measures(told, without = Object.create(null)) {
    const shown = make("ul", "measures"), long = {};
    for (const [name, value] of Object.entries(told)) {
      if (name in without) continue;
      const text = words(value);
      if (text.length > 60) long[name] = parsed(value);
      else shown.append(make("li", "", write(make("span"), `${name}: ${text}`, place.needle)));
    }
    return make("div", "", shown.childElementCount ? shown : null, Object.keys(long).length ? folded("more of it", facts(long, place.needle)) : null);
  }

  function evidence(made, row, without = []) {
    if (!row.evidence) return;
    const told = parsed(row.evidence);
    const named = told && typeof told === "object" && !Array.isArray(told) ? { ...told } : { evidence: told };
    without.forEach((name) => delete named[name]);
    if (Object.keys(named).length) made.append(make("h5", "", "Evidence"), facts(named, place.needle));
  }

  // Where the words of a text are that another one has at their place too, or that it has not: the longest common
  // subsequence of words tells.
  function compared(text, other, shared) {
    const split = (whole) => [...(whole || "").matchAll(/[\p{L}\p{N}]+/gu)].slice(0, MOST_WORDS);
    const [ours, theirs] = [split(text), split(other)];
    const [a, b] = [ours, theirs].map((all) => all.map((one) => one[0].toLowerCase()));
    const wide = b.length + 1, longest = new Uint16Array((a.length + 1) * wide);
    for (let i = a.length - 1; i >= 0; i--) {
      for (let j = b.length - 1; j >= 0; j--) {
        longest[i * wide + j] = a[i] === b[j] ? longest[(i + 1) * wide + j + 1] + 1
          : Math.max(longest[(i + 1) * wide + j], longest[i * wide + j + 1]);
      }
    }
    const spans = [];
    let j = 0, before = false;
    ours.forEach((one, i) => {
      while (j < b.length && a[i] !== b[j] && longest[i * wide + j + 1] >= longest[(i + 1) * wide + j]) j++;
      const same = j < b.length && a[i] === b[j];
      if (same) j++;
      const end = one.index + one[0].length;
      if (same !== shared) before = false;
      else if (before) spans[spans.length - 1][1] = end;
      else before = Boolean(spans.push([one.index, end]));
    });
    return spans;
  }

  function repeat(row, one) {
    const made = card(row, "Repeats it");
    const told = parsed(row.evidence) || {};
    if (typeof told.similarity === "number") made.append(make("p", "about", `similarity ${told.similarity}`));
    made.append(textBlock(row.question ?? "", place.needle || compared(row.question, one.question, false)));
    evidence(made, row, ["kept", "question_id", "similarity", ...(told.twin === one.id ? ["twin"] : [])]);
    made.append(write(make("p", "about"), `question ${row.id}`));
    return made;
  }

  function dropped(row, one) {
    const made = card(row, "Left out");
    const told = parsed(row.evidence);
    if (place.kind === MATCH && told && typeof told.text === "string") {
      const from = `${words(told.benchmark)}, row ${words(told.row)}`;
      made.append(write(make("h5"), from), textBlock(told.text, place.needle || compared(told.text, one.question, true)));
      evidence(made, row, ["text", "benchmark", "row"]);
    } else evidence(made, row);
    return made;
  }

  // Controls

  function option(words, value) {
    const made = make("option", "", words);
    made.value = value;
    return made;
  }

  function choices(id, all, names) {
    $(id).replaceChildren(option(all, ""), ...names.slice(0, MOST_CHOICES).map(([name, value]) => option(name, value)));
    $(id).parentElement.hidden = names.length < 2;
  }

  function controls() {
    const counts = KINDS.map(() => 0);
    index.entries.kind.forEach((kind) => counts[kind]++);
    KINDS.forEach((name, kind) => {
      if (!counts[kind]) return;
      const made = button(`${name} (${counts[kind].toLocaleString("en")})`, () => choose(kind));
      made.dataset.kind = kind;
      $("kinds").append(made);
    });
    for (const score of index.scores) {
      if (!score.boolean) continue;
      score.select = make("select", "", option("any", ""), option("true", "true"), option("false", "false"), option("not told", "null"));
      score.select.addEventListener("change", () => refresh());
      const label = make("label", "", score.name + " ", score.select);
      label.dataset.answers = "";
      $("filters").insertBefore(label, $("order").parentElement);
    }
    choices("category", "all", index.categories.map((name, at) => [name, at]));
    choices("part", "all", index.parts.map((name, at) => [name, at]));
    for (const id of ["state", "reason", "category", "part", "order"]) $(id).addEventListener("change", () => refresh());
    let waiting;
    $("search").addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => search(chosen("search").trim()), 200);
    });
    const turn = (page) => { place.page = page; refresh(true); $("rows").scrollIntoView(); };
    $("previous").addEventListener("click", () => turn(place.page - 1));
    $("next").addEventListener("click", () => turn(place.page + 1));
    $("page").addEventListener("change", () => turn((Number(chosen("page")) || 1) - 1));
    $("filters").hidden = false;
    return choose(counts.findIndex((count) => count > 0));
  }

  function choose(kind) {
    place.kind = kind;
    for (const one of $("kinds").children) one.setAttribute("aria-pressed", String(Number(one.dataset.kind) === kind));
    const counts = new Map();
    index.entries.kind.forEach((its, at) => {
      if (its !== kind) return;
      for (let row = starts[at]; row < starts[at + 1]; row++) {
        const reason = index.rows.reason[row];
        if (reason >= 0) counts.set(reason, (counts.get(reason) || 0) + 1);
      }
    });
    const told = [...counts].sort((a, b) => b[1] - a[1]).map(([reason, count]) => {
      const [step, why] = index.reasons[reason];
      return [`${step === why ? step : `${step} ${why ?? ""}`} (${count.toLocaleString("en")})`, reason];
    });
    choices("reason", "any reason", told);
    $("reason").parentElement.hidden = told.length === 0;
    const answers = kind === ANSWERS;
    $("state").value = "";
    $("state").parentElement.hidden = !answers;
    for (const label of document.querySelectorAll("[data-answers]")) label.hidden = !answers;
    const orders = [["longest trace first", "trace|down"], ["shortest trace first", "trace|up"], ["longest answer first", "answer|down"], ["shortest answer first", "answer|up"]];
    index.scores.forEach((score, at) => {
      if (score.boolean) return;
      orders.push([`${score.name}, highest first`, `${at}|down`], [`${score.name}, lowest first`, `${at}|up`]);
    });
    choices("order", "as in the run", answers ? orders : []);
    return place.needle ? search(chosen("search").trim()) : refresh();
  }

  async function start() {
    if (typeof DecompressionStream === "undefined") throw new Error("this browser cannot read packed data; one of 2023 or later can");
    index = JSON.parse(await block("index"));
    const told = index.entries;
    starts = new Uint32Array(told.rows.length + 1);
    index.firsts = [];
    index.kindsOf = Array.from({ length: index.chunks }, () => new Set());
    told.rows.forEach((count, at) => {
      starts[at + 1] = starts[at] + count;
      const number = told.chunk[at];
      if (index.firsts[number] === undefined) index.firsts[number] = at;
      index.kindsOf[number].add(told.kind[at]);
    });
    if (!told.rows.length) $("status").textContent = "There are no rows yet.";
    else await controls();
    if (index.leftOut) $("rows").append(make("p", "note", `${index.leftOut.toLocaleString("en")} more rejected rows are in the run's tables, and not in this report.`));
    document.documentElement.dataset.ready = "";
  }

  const fail = (error) => { $("status").textContent = `The rows cannot be shown: ${error.message}`; };
  window.addEventListener("unhandledrejection", (event) => fail(event.reason));
  start().catch(fail);
})();
