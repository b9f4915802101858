// The page: sends the text in the box to the server, and draws the responses.
// No library, no other server, nothing stored. Texts are cut into code points, as the server counts them.
"use strict";

const $ = (id) => document.getElementById(id);
const SHOWN = 12; // bars
const SIGNS = { " ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍", "\0": "␀", "\ufdd0": "␃", "\ufdd1": "␟" }; // as on the command line
const SVG = "http://www.w3.org/2000/svg";
const visible = (c) => SIGNS[c] ?? (/\p{C}|\p{Z}/u.test(c) ? "\\u" + c.codePointAt(0).toString(16).padStart(4, "0") : c);
const percent = (p) => (p >= 0.0995 ? (100 * p).toFixed(0) : p >= 0.0005 ? (100 * p).toFixed(1) : p > 0 ? "<0.1" : "0") + " %";
const bits = (b) => (b >= 9.95 ? b.toFixed(0) : b >= 0.095 ? b.toFixed(1) : b >= 0.001 ? b.toFixed(3) : "<0.001") + " bits";

let facts = { characters: [], lower: false };
let known = new Set(); // the characters of the model
let distribution = []; // of the character after the text
let writing = null; // what stops the writing in progress
let taken = []; // what was written: { start, text }

// ---- requests: one at a time, none is aborted, and of several for the same panel only the latest is sent

const ORDER = ["write", "other", "next", "complete", "expected", "memory", "surprise", "map"];
const waiting = new Map(); // by panel: { work, due }
let inFlight = false, timer;

function request(panel, work, delay = 0) {
  waiting.set(panel, { work, due: performance.now() + delay });
  pump();
}

async function pump() {
  clearTimeout(timer);
  if (inFlight || !waiting.size) return;
  const now = performance.now(), panel = ORDER.find((name) => waiting.get(name)?.due <= now);
  if (!panel) {
    timer = setTimeout(pump, Math.min(...[...waiting.values()].map((job) => job.due)) - now);
    return;
  }
  const { work } = waiting.get(panel);
  waiting.delete(panel);
  inFlight = true;
  await work().catch(failed);
  inFlight = false;
  pump();
}

async function ask(path, body) {
  const answer = await send(path, body);
  return answer.json();
}

async function send(path, body, signal) {
  const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let answer;
  try {
    answer = await fetch(location.origin + "/api/" + path, { ...options, signal });
  } catch (error) {
    throw error.name === "AbortError" ? error : new Error("the server does not answer: is it still running?");
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  throw new Error(told.error?.message ?? "the server is busy: try again in a moment");
}

// A long text is read once: its beginning is kept as a state, and requests continue from there.
const START = { text: "", state: null }, LONG = 1000, OPEN = 200;
let kept = START;

async function keep(text) {
  const from = text.startsWith(kept.text) ? kept : START;
  if (text.length - from.text.length < LONG) return;
  const end = text.length - OPEN - /[\uDC00-\uDFFF]/.test(text[text.length - OPEN]); // no character is cut in two
  const { state } = await ask("read", { text: text.slice(from.text.length, end), state: from.state });
  kept = { text: text.slice(0, end), state };
}

const after = (text) =>
  text.startsWith(kept.text) ? { prompt: text.slice(kept.text.length), state: kept.state } : { prompt: text };

const textNow = () => (facts.lower ? $("text").value.toLowerCase() : $("text").value);
const isKnown = (text) => Array.from(text).every((c) => known.has(c));
const say = (sentence) => { $("message").textContent = sentence; };

function failed(error) {
  if (error.name === "AbortError") return;
  kept = START; // another model may be served by now
  say(error.message);
}

// ---- what each panel shows; one that shows an earlier text is dimmed

const shown = { next: null, memory: null, surprise: null };
const keyOf = (panel) => (panel === "next" ? JSON.stringify([textNow(), sampling()]) : textNow());

function fresh(panel, key) {
  shown[panel] = key;
  dimStale();
}

function dimStale() {
  for (const panel in shown) {
    const stale = shown[panel] !== null && shown[panel] !== keyOf(panel);
    document.querySelector(`main > .${panel}`).classList.toggle("stale", stale);
  }
}

// ---- editing the text so that the browser can undo it

let ours = false; // while the page itself edits

function edit(start, end, characters) {
  const text = $("text"), focused = document.activeElement;
  text.focus({ preventScroll: true });
  text.setSelectionRange(start, end);
  ours = true;
  const done = characters ? document.execCommand("insertText", false, characters) : document.execCommand("delete");
  if (!done) text.setRangeText(characters, start, end, "end"); // not in every browser; this cannot be undone
  ours = false;
  if (focused && focused !== text) focused.focus({ preventScroll: true });
}

// ---- elements

function make(tag, className, content = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.append(content);
  return element;
}

function draw(tag, attributes, parent) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  parent.append(element);
  return element;
}

function bar(className, share) {
  const fill = make("span", className);
  fill.style.width = 100 * share + "%";
  return fill;
}

// Lets the arrow keys move among the children that match; the tab key stops at the row once.
function roving(row, selector, show) {
  const items = () => [...row.querySelectorAll(selector)];
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -Infinity, End: Infinity };
  row.addEventListener("keydown", (event) => {
    const all = items(), at = all.indexOf(document.activeElement);
    if (!(event.key in step) || at < 0) return;
    event.preventDefault();
    all[Math.min(all.length - 1, Math.max(0, at + step[event.key]))].focus();
  });
  for (const kind of ["focusin", "mouseover"]) {
    row.addEventListener(kind, (event) => {
      const item = event.target.closest(selector);
      if (!item) return;
      if (kind === "focusin") for (const other of items()) other.tabIndex = other === item ? 0 : -1;
      show(item);
    });
  }
}

// ---- what comes next

function updateNext() {
  request("next", async () => {
    const text = textNow(), key = keyOf("next"), filters = sampling();
    if (isKnown(text)) await keep(text);
    else kept = START; // so that the server counts the position of the unknown character from the start
    const { next } = await ask("next", { ...after(text), ...filters });
    if (key !== keyOf("next")) return; // a later request is waiting
    distribution = next;
    say("");
    fresh("next", key);
    showBars(null);
    sayCertainty();
  });
}

const drawn = (row) => row.drawn ?? row.probability;

function showBars(other) {
  const changed = other && new Map(other.map((row) => [row.character, row.probability]));
  const own = (row) => (changed ? row.probability : drawn(row));
  const larger = (row) => Math.max(own(row), changed?.get(row.character) ?? 0);
  const rows = [...distribution].sort((a, b) => larger(b) - larger(a) || b.probability - a.probability).slice(0, SHOWN);
  const list = $("bars"), focused = [...list.querySelectorAll("button")].indexOf(document.activeElement);
  list.className = changed ? "compared" : "";
  list.replaceChildren(...rows.map((row) => oneBar(row, own(row), changed ? changed.get(row.character) ?? 0 : null)));
  if (focused >= 0) list.querySelectorAll("button")[Math.min(focused, rows.length - 1)].focus();
  if (changed) $("certainty").textContent = `Thin bars: after the exchange, which changes the prediction by ${bits(divergence(changed))}.`;
}

function sayCertainty() {
  const expected = distribution.reduce((sum, { probability: p }) => sum - (p > 0 ? p * Math.log2(p) : 0), 0);
  const filtered = distribution.some((row) => row.drawn !== undefined);
  $("certainty").textContent = `The network expects a loss of ${bits(expected)}. Choose a bar to write its character.`
    + (filtered ? " Thin bars: with the settings; thick ones: without." : "");
}

function oneBar(row, value, changed) {
  const button = make("button", ""), track = make("span", "track");
  const share = percent(value) + (changed === null ? "" : " → " + percent(changed));
  if (changed === null && row.drawn !== undefined) track.append(bar("model", row.probability));
  track.append(bar("fill", value), bar("ghost", changed ?? 0));
  button.append(make("span", "name", visible(row.character)), track, make("span", "share", share));
  button.type = "button";
  button.dataset.character = row.character;
  button.setAttribute("aria-label", `${nameOf(row.character)}, ${share}`);
  button.addEventListener("click", () => append(row.character));
  const item = make("li", "");
  item.append(button);
  return item;
}

const nameOf = (c) => ({ " ": "space", "\n": "new line", "\t": "tab" })[c] ?? c;

// KL(prediction || changed), in bits.
function divergence(changed) {
  return distribution.reduce((sum, { character, probability: p }) => {
    const q = changed.get(character);
    return p > 0 && q > 0 ? sum + p * Math.log2(p / q) : sum;
  }, 0);
}

function append(characters) {
  if (writing) return;
  const text = $("text");
  edit(text.value.length, text.value.length, characters);
  text.scrollTop = text.scrollHeight;
  changedText();
}

// ---- the suggestion: the likeliest end of the word, in grey behind the text

const LIKELY = 0.2; // a less likely one is not shown
let suggestion = "";

function updateSuggestion() {
  suggest("");
  const typing = $("text"), text = textNow();
  if (writing || !text || document.activeElement !== typing || !caretAtEnd() || !isKnown(text)) return;
  request("complete", async () => {
    const { completions: [best] } = await ask("complete", { ...after(text), count: 1 });
    if (best?.probability >= LIKELY && text === textNow() && caretAtEnd()) suggest(best.text);
  }, 100);
}

const caretAtEnd = () => $("text").selectionStart === $("text").value.length;

function suggest(end) {
  suggestion = end;
  $("ghost").replaceChildren(...(end ? [$("text").value, make("i", "", end)] : []));
  $("ghost").scrollTop = $("text").scrollTop;
}

function acceptSuggestion(event) {
  if (event.key !== "Tab" || event.shiftKey || event.ctrlKey || event.altKey || event.metaKey || !suggestion) return;
  event.preventDefault();
  append(suggestion);
}

// ---- writing

async function write() {
  const text = $("text"), before = text.value, start = before.length, room = text.maxLength - start;
  if (room < 1) return say(`the box is full: it holds ${text.maxLength.toLocaleString()} characters`);
  writing = new AbortController();
  busy();
  say("");
  try {
    const body = { ...after(textNow()), ...sampling(), ...amount(room), follow: true };
    const answer = await send("generate", body, writing.signal);
    for await (const lines of parsed(answer.body)) written(lines);
  } catch (error) {
    failed(error);
  }
  const added = text.value.slice(start);
  if (added) asOneStep(before, added);
  writing = null;
  if (added) taken.push({ start, text: added });
  changedText();
  follow(true);
}

// Undoes the pieces that were written and writes them again at once, so that one undo takes them back.
function asOneStep(before, added) {
  const text = $("text"), focused = document.activeElement, whole = before + added;
  text.focus({ preventScroll: true });
  ours = true;
  while (text.value.length > before.length && document.execCommand("undo"));
  ours = false;
  if (text.value === before) edit(before.length, before.length, added);
  else if (text.value !== whole) edit(0, text.value.length, whole); // an undo may have taken typing with it
  text.scrollTop = text.scrollHeight;
  if (focused && focused !== text) focused.focus({ preventScroll: true });
}

// The JSON lines of a stream, all that have arrived at a time.
async function* parsed(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const lines = (rest + part.value).split("\n");
    rest = lines.pop();
    if (lines.length) yield lines.map((line) => JSON.parse(line));
  }
}

let frame = null;
function written(lines) {
  const wrong = lines.find((line) => line.error);
  if (wrong) throw new Error(wrong.error.message);
  const text = $("text"), characters = lines.map((line) => line.text).join(""), last = lines.at(-1);
  if (characters) edit(text.value.length, text.value.length, characters);
  if (last.state) kept = { text: textNow(), state: last.state };
  distribution = last.next;
  frame ??= requestAnimationFrame(() => {
    frame = null;
    text.scrollTop = text.scrollHeight;
    fresh("next", keyOf("next"));
    showBars(null);
    $("certainty").textContent = "";
  });
}

const number = (id) => ($(id).value === "" || !$(id).checkValidity() ? null : Number($(id).value));

// The settings that decide which characters are drawn.
function sampling() {
  const optional = ["top_k", "top_p", "min_p", "repetition"].map((id) => [id, number(id)]);
  return { temperature: number("temperature"), ...Object.fromEntries(optional) };
}

function amount(room) {
  const stop = $("stops").value === "" ? [] : [$("stops").value];
  return { length: Math.min(number("length"), room), seed: number("seed"), stop };
}

function busy() {
  const is = writing !== null;
  if (is) suggest("");
  if (!is && document.activeElement === $("stop")) $("write").focus();
  $("write").setAttribute("aria-disabled", is);
  $("stop").disabled = !is;
  $("back").disabled = $("another").disabled = is || !taken.length;
}

// Where the last writing is in the text, which may have been edited since; -1 if it was changed itself.
function placeOf({ start, text }) {
  const { value } = $("text");
  return value.startsWith(text, start) ? start : value.indexOf(text);
}

function takeBack() {
  const last = taken.pop(), at = placeOf(last);
  edit(at, at + last.text.length, "");
  changedText();
  follow(true);
}

function another() {
  takeBack();
  $("seed").value = Number($("seed").value) + 1;
  request("write", write);
}

// ---- what the prediction remembers

let exchange = null; // the answer on show
let chosen = null; // the position that is exchanged

function updateMemory() {
  request("memory", async () => {
    const text = textNow();
    if (!isKnown(text)) return;
    const { prompt, state } = after(text), read = Array.from(text).length - Array.from(prompt).length;
    const answer = await ask("exchange", { text: prompt, state, back: 80 });
    if (text !== textNow()) return;
    exchange = { ...answer, start: read + answer.start };
    fresh("memory", text);
    layCells();
    $("exchanged").textContent = exchange.bits.length ? reach() : "With nothing read, it knows only how frequent each character is.";
    chooseAgain();
  }, 250);
}

// The bars of memory in rows, each with its own scale.
function layCells() {
  const strip = $("strip"), style = getComputedStyle(strip), rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
  const most = Math.max(8, Math.floor((strip.clientWidth - 2.8 * rem) / (rem * parseFloat(style.getPropertyValue("--cell")))));
  const cells = Array.from(exchange.characters).map((c, i) => cell(c, i)), rows = [];
  const inRow = Math.ceil(cells.length / Math.ceil(cells.length / most)); // rows of equal length
  if (cells.length) cells.at(-1).tabIndex = 0;
  if (chosen !== null) markChosen(cells[chosen]);
  for (let i = 0; i < cells.length; i += inRow) {
    const row = make("div", "ruled"), scale = make("p", "scale"), inside = make("div", "cells");
    scale.setAttribute("aria-hidden", "true");
    scale.append(...MARKS.map((mark) => { const span = make("span", "", mark); span.style.bottom = height(mark) + "rem"; return span; }));
    inside.append(...cells.slice(i, i + inRow));
    row.append(scale, inside);
    rows.push(row);
  }
  strip.replaceChildren(...rows);
}

const TOP = 3.2, MOST = 16, LEAST = 0.001, MARKS = [10, 1, 0.1, 0.01]; // rem and bits
const height = (b) => (TOP * Math.min(1, Math.max(0, Math.log(Math.max(b, LEAST) / LEAST) / Math.log(MOST / LEAST)))).toFixed(3);

function cell(character, i) {
  const button = make("button", ""), column = make("span", "column");
  column.style.height = height(exchange.bits[i]) + "rem";
  button.append(column, make("span", /\s/.test(character) ? "letter blank" : "letter", character === " " ? "\u00a0" : visible(character)));
  button.type = "button";
  button.tabIndex = -1;
  button.dataset.at = i;
  button.setAttribute("aria-label", `${nameOf(character)}, ${bits(exchange.bits[i])}`);
  return button;
}

// How far back an exchange still changes the prediction by a hundredth of a bit.
function reach() {
  const first = exchange.bits.findIndex((b) => b >= 0.01), far = exchange.bits.length - first;
  if (first < 0) return "No single character changes this prediction by a hundredth of a bit.";
  const least = first === 0 && exchange.start > 0 ? "at least " : "";
  return `It looks ${least}${far} character${far > 1 ? "s" : ""} back: farther ones change this prediction by less than 0.01 bits.`;
}

function showCell(item) {
  if (chosen !== null) return;
  const i = Number(item.dataset.at), back = exchange.bits.length - i, instead = exchange.instead[i];
  const sentence = ` ${back} back: replaced by what it expected there${instead ? " (such as " : ""}`;
  const parts = [make("b", "", visible(Array.from(exchange.characters)[i])), sentence];
  if (instead) parts.push(make("i", "", visible(instead)), ")");
  $("exchanged").replaceChildren(...parts, `, it changes the prediction by ${bits(exchange.bits[i])}.`);
}

function choose(item) {
  const i = Number(item.dataset.at), again = chosen === i;
  restore();
  if (!again) pick(item, exchange.instead[i]);
  follow(true);
}

function pick(item, instead) {
  showCell(item);
  chosen = Number(item.dataset.at);
  markChosen(item);
  $("instead").hidden = false;
  $("other").value = visible(instead);
  updateOther();
}

function markChosen(item) {
  item.classList.add("chosen");
  item.setAttribute("aria-pressed", "true");
}

// The character in the small box: a sign such as ⏎ stands for the character that it shows.
function otherCharacter() {
  const given = Array.from($("other").value)[0];
  const meant = Object.keys(SIGNS).find((c) => SIGNS[c] === given);
  return meant !== undefined && !known.has(given) ? meant : given;
}

function updateOther() {
  request("other", async () => {
    const other = otherCharacter(), text = textNow();
    if (chosen === null || other === undefined) return;
    const characters = Array.from(text);
    characters[exchange.start + chosen] = other;
    const { next } = await ask("next", after(characters.join("")));
    if (chosen === null || text !== textNow()) return;
    say("");
    showBars(next);
    const own = [...distribution].sort((a, b) => b.probability - a.probability);
    const likely = (rows) => rows.slice(0, 3).flatMap((row, k) => [k ? ", " : "", make("i", "", visible(row.character)), " " + percent(row.probability)]);
    $("outcome").replaceChildren("It would expect ", ...likely(next), " instead of ", ...likely(own), ".");
    $("pairs").replaceChildren(...[...$("bars").children].slice(0, 5).map((item) => item.cloneNode(true)));
    $("pairs").querySelectorAll("button").forEach((button) => { button.disabled = true; });
  });
}

function restore() {
  if (chosen === null) return;
  chosen = null;
  for (const item of $("strip").querySelectorAll(".chosen")) {
    item.classList.remove("chosen");
    item.removeAttribute("aria-pressed");
  }
  $("instead").hidden = true;
  $("outcome").textContent = "";
  $("pairs").replaceChildren();
  showBars(null);
  sayCertainty();
}

// ---- what surprised it

const LEVELS = [0.5, 1, 2, 4, 7];

let scored = []; // the characters on show

function updateSurprise() {
  request("surprise", async () => {
    const text = textNow();
    if (!isKnown(text)) return;
    const score = text && await ask("score", { text });
    if (text !== textNow()) return;
    fresh("surprise", text);
    scored = Array.from(text && score.text);
    const spans = scored.map((c, i) => painted(c, score.each[i], i));
    if (text) spans[0].tabIndex = 0;
    $("painted").replaceChildren(...spans);
    $("painted").scrollTop = $("painted").scrollHeight;
    $("expected").textContent = text && "Point at a character to see what was expected in its place.";
    $("rule").textContent = "";
    $("figures").replaceChildren();
    if (text) showFigures(score);
  }, 400);
}

function painted(character, b, i) {
  const level = LEVELS.filter((bound) => b >= bound).length;
  const span = make("span", `s${level}${character === "\n" ? " end" : ""}`, character === "\n" ? "⏎\n" : character);
  span.tabIndex = -1;
  span.dataset.at = i;
  span.dataset.bits = b;
  span.setAttribute("role", "img");
  span.setAttribute("aria-label", `${nameOf(character)}, ${bits(b)}`);
  return span;
}

let shownSpan = null;

function updateExpected() {
  request("expected", async () => {
    const span = shownSpan, at = Number(span.dataset.at), before = scored;
    const { next } = await ask("next", { ...after(scored.slice(0, at).join("")), top: 4 });
    if (span !== shownSpan || before !== scored) return;
    const likely = next.filter((row) => row.character !== scored[at]).slice(0, 3);
    const parts = [make("b", "", visible(scored[at])), ` cost ${bits(Number(span.dataset.bits))}. `];
    parts.push(likely.length < next.length && next[0].character === scored[at] ? "It was the most likely; after it " : "Expected instead: ");
    likely.forEach((row, k) => parts.push(k ? ", " : "", make("i", "", visible(row.character)), " " + percent(row.probability)));
    $("expected").replaceChildren(...parts, ".");
  }, 60);
}

function showFigures(score) {
  const rows = [["this network", score.bits, "own"], ["xz", score.xz_bits, ""], ["gzip", score.gzip_bits, ""]];
  const most = Math.max(...rows.map((row) => row[1]));
  $("figures").replaceChildren(...rows.flatMap(([name, value, own]) => {
    const track = make("dd", "track " + own);
    track.append(bar("fill", value / most));
    return [make("dt", "", name), track, make("dd", "value", value.toFixed(2))];
  }));
  const short = score.characters < 2000 ? " gzip and xz include headers, which matter for a text as short as this one." : "";
  $("rule").textContent = `Bits per character on ${score.characters.toLocaleString()} characters.${short}`;
}

// ---- the map

let points = [];

async function showMap() {
  const answer = await ask("characters");
  const mapped = answer.points, svg = $("map");
  const span = (key) => [Math.min(...mapped.map((p) => p[key])), Math.max(...mapped.map((p) => p[key]))];
  const [left, right] = span("x"), [low, high] = span("y");
  const unit = Math.min(400 / (right - left || 1), 385 / (high - low || 1)); // the same on both axes
  const x = (v) => 220 + unit * (v - (left + right) / 2), y = (v) => 210 - unit * (v - (low + high) / 2);
  draw("line", { class: "axis", x1: 0, x2: 440, y1: y(0), y2: y(0) }, svg);
  draw("line", { class: "axis", x1: x(0), x2: x(0), y1: 0, y2: 420 }, svg);
  draw("g", { id: "threads" }, svg);
  const most = Math.max(...mapped.map((p) => p.count), 1);
  points = mapped.map((p) => ({ ...p, x: x(p.x), y: y(p.y), size: 11 + 15 * Math.sqrt(p.count / most) }));
  for (const point of [...points].reverse()) drawPoint(point, svg); // frequent ones on top
  const shares = answer.explained.map((share) => percent(share));
  const part = points.length < answer.of ? ` The ${points.length} most frequent of ${answer.of.toLocaleString()}.` : "";
  $("axes").replaceChildren(...legend(), `The two main components, ${shares[0]} and ${shares[1]} of the variance. Large: frequent.${part}`);
  $("neighbours").textContent = "Point at a character to see which are nearest.";
}

function drawPoint(point, svg) {
  const group = draw("g", { class: point.kind, tabindex: point === points[0] ? 0 : -1, role: "img" }, svg);
  group.setAttribute("aria-label", `${nameOf(point.character)}, nearest: ${point.nearest.map(nameOf).join(" ")}`);
  group.dataset.character = point.character;
  draw("circle", { cx: point.x, cy: point.y, r: Math.max(9, 0.62 * point.size) }, group);
  draw("text", { x: point.x, y: point.y, "font-size": point.size.toFixed(1) }, group).textContent = visible(point.character);
}

function legend() {
  const kinds = ["vowel", "consonant", "capital", "digit", "punctuation", "blank", "other"];
  const present = kinds.filter((kind) => points.some((point) => point.kind === kind));
  return present.flatMap((kind) => [make("b", "kind " + kind, kind), " "]).concat(document.createElement("br"));
}

function showPoint(group) {
  const at = new Map(points.map((point) => [point.character, point])), own = at.get(group.dataset.character);
  $("map").querySelectorAll(".chosen").forEach((other) => other.classList.remove("chosen"));
  group.classList.add("chosen");
  $("threads").replaceChildren();
  for (const other of own.nearest.map((name) => at.get(name)).filter(Boolean)) {
    draw("line", { class: "thread", x1: own.x, y1: own.y, x2: other.x, y2: other.y }, $("threads"));
  }
  const nearest = own.nearest.flatMap((name, k) => [k ? " " : "", make("i", "", visible(name))]);
  $("neighbours").replaceChildren(make("b", "", visible(own.character)), `, ${own.count.toLocaleString()} times in its text. Nearest in all its dimensions: `, ...nearest);
}

// ---- the address: text, settings and the chosen character, so that a link restores them

const SETTINGS = ["temperature", "length", "seed", "top_k", "top_p", "min_p", "repetition", "stops"];
let pending = null; // a choice that waits for the bars of memory

function address() {
  const parts = new URLSearchParams({ text: $("text").value });
  for (const id of SETTINGS) if ($(id).value !== $(id).defaultValue) parts.set(id, $(id).value);
  if (chosen !== null) {
    parts.set("at", exchange.start + chosen);
    parts.set("instead", otherCharacter() ?? "");
  }
  return "#" + parts;
}

let due;
function follow(step = false) {
  clearTimeout(due);
  if (step && address() !== location.hash) history.pushState(null, "", address());
  else due = setTimeout(() => history.replaceState(null, "", address()), 400);
}

function restoreAddress() {
  const hash = location.hash.slice(1), parts = new URLSearchParams(hash);
  const text = parts.has("text") ? parts.get("text") : decoded(hash);
  for (const id of SETTINGS) $(id).value = parts.get(id) ?? $(id).defaultValue;
  pending = parts.has("at") ? { at: Number(parts.get("at")), instead: parts.get("instead") ?? "" } : null;
  showDegrees();
  return text.slice(0, $("text").maxLength);
}

function chooseAgain() {
  if (!pending) return;
  const item = $("strip").querySelector(`button[data-at="${pending.at - exchange.start}"]`), { instead } = pending;
  pending = null;
  if (item) pick(item, instead || exchange.instead[Number(item.dataset.at)]);
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a lone % is no code
  }
}

async function copyLink() {
  history.replaceState(null, "", address());
  try {
    await navigator.clipboard.writeText(location.href);
    say("the link is copied");
  } catch {
    say("the link is in the address bar: copy it from there");
  }
}

// ---- the whole

function changedText() {
  restore();
  taken = taken.filter((one) => placeOf(one) >= 0);
  busy();
  $("remove").hidden = isKnown(textNow());
  dimStale();
  updateNext();
  updateSuggestion();
  updateMemory();
  updateSurprise();
  follow();
}

function changedSettings() {
  showDegrees();
  dimStale();
  if (!writing) updateNext();
  follow();
}

function removeUnknown() {
  const { value } = $("text");
  edit(0, value.length, Array.from(textNow()).filter((c) => known.has(c)).join(""));
  changedText();
}

function pasted(event) {
  const text = $("text"), added = event.clipboardData.getData("text").length;
  const over = text.value.length - (text.selectionEnd - text.selectionStart) + added - text.maxLength;
  if (over <= 0) return;
  const cut = `the box holds ${text.maxLength.toLocaleString()} characters: the last ${over.toLocaleString()} were left out`;
  setTimeout(() => { $("cut").textContent = cut; });
}

const showDegrees = () => { $("degrees").textContent = Number($("temperature").value).toFixed(2); };

function showFacts() {
  const count = (n) => n.toLocaleString(), { validation_nats: nats, members, seconds } = facts;
  const parts = [
    facts.rung, `${facts.layers === 1 ? "1 layer" : facts.layers + " layers"} of ${count(facts.hidden)} hidden units`,
    `${count(facts.weights)} weights`, `${count(facts.characters.length)} characters`,
  ];
  if (members.length > 1 && members.includes("counts")) parts.splice(3, 0, "with counts of its training text");
  if (facts.sources.length) parts.push(`trained on ${facts.sources.join(", ")}` + (seconds ? ` in ${seconds < 90 ? seconds.toFixed(0) + " seconds" : (seconds / 60).toFixed(1) + " minutes"}` : ""));
  if (nats !== null) parts.push(`${(nats / Math.LN2).toFixed(2)} bits per character on held-out text`);
  if (!facts.finished) parts.push("training is not finished");
  $("facts").textContent = parts.join(" · ");
  document.title = `${facts.name} · unrolled`;
}

// Opens with what the address says, or with a few lines that the network writes itself.
async function open() {
  facts = await ask("model");
  known = new Set(facts.characters);
  showFacts();
  request("map", () => showMap().catch((error) => { $("axes").textContent = error.message; }));
  const given = restoreAddress();
  $("text").value = given || (["The ", "the "].find(isKnown) ?? "");
  if (given) return changedText();
  request("write", write);
}

$("text").addEventListener("beforeinput", (event) => { if (writing && !ours) event.preventDefault(); });
$("text").addEventListener("input", () => { $("cut").textContent = ""; if (!ours) changedText(); });
$("text").addEventListener("paste", pasted);
$("text").addEventListener("keydown", acceptSuggestion);
$("text").addEventListener("scroll", () => { $("ghost").scrollTop = $("text").scrollTop; });
document.addEventListener("selectionchange", () => { if (suggestion && !caretAtEnd()) suggest(""); });
$("settings").addEventListener("submit", (event) => { event.preventDefault(); if (!writing) request("write", write); });
$("settings").addEventListener("input", (event) => { if (SETTINGS.includes(event.target.id)) changedSettings(); });
$("settings").addEventListener("invalid", (event) => { // a setting that is folded away is shown before the browser says what is wrong
  const folded = event.target.closest("details");
  if (folded) folded.open = true;
  say(`${event.target.labels[0].textContent.trim()}: ${event.target.validationMessage}`);
}, true);
$("stop").addEventListener("click", () => writing?.abort());
$("back").addEventListener("click", takeBack);
$("another").addEventListener("click", another);
$("link").addEventListener("click", copyLink);
$("remove").addEventListener("click", removeUnknown);
$("restore").addEventListener("click", () => { restore(); follow(true); });
$("other").addEventListener("input", () => { updateOther(); follow(); });
$("strip").addEventListener("click", (event) => { const item = event.target.closest("button"); if (item) choose(item); });
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") writing ? writing.abort() : suggestion ? suggest("") : restore();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !writing) $("settings").requestSubmit();
});
window.addEventListener("popstate", () => {
  const text = restoreAddress();
  if (text !== $("text").value) edit(0, $("text").value.length, text);
  changedText();
});
new ResizeObserver(() => { if (exchange) layCells(); }).observe($("strip"));
roving($("strip"), "button", showCell);
roving($("painted"), "span", (span) => { shownSpan = span; updateExpected(); });
roving($("map"), "g[data-character]", showPoint);
open().catch((error) => say(error.message));
