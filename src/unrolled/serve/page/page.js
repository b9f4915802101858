// The page: sends the text in the box to the server, and draws the responses.
// No library, no other server, nothing stored. Texts are cut into code points, as the server counts them.
"use strict";

const $ = (id) => document.getElementById(id);
const SHOWN = 12; // bars
const VISIBLE = { " ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍" };
const SVG = "http://www.w3.org/2000/svg";
const visible = (c) => VISIBLE[c] ?? (/\p{C}|\p{Z}/u.test(c) ? "\\u" + c.codePointAt(0).toString(16).padStart(4, "0") : c);
const percent = (p) => (p >= 0.0995 ? (100 * p).toFixed(0) : p >= 0.0005 ? (100 * p).toFixed(1) : "<0.1") + " %";
const bits = (b) => (b >= 9.95 ? b.toFixed(0) : b >= 0.095 ? b.toFixed(1) : b >= 0.001 ? b.toFixed(3) : "<0.001") + " bits";

let facts = { characters: [], lower: false };
let known = new Set(); // the characters of the model
let distribution = []; // of the character after the text
let writing = null; // what stops the writing that goes on
let taken = []; // the texts before each writing

// ---- asking

async function ask(path, body, signal) {
  const answer = await send(path, body, signal);
  return answer.json();
}

async function send(path, body, signal) {
  const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let answer;
  try {
    answer = await fetch("/api/" + path, { ...options, signal });
  } catch (error) {
    throw error.name === "AbortError" ? error : new Error("the server does not answer: is it still running?");
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({ error: "the server is busy: try again in a moment" }));
  throw new Error(told.error);
}

// Runs `work` after `delay` without another call; requests for an older text are aborted.
function latest(delay, work) {
  let timer, controller;
  return () => {
    clearTimeout(timer);
    controller?.abort();
    controller = new AbortController();
    const { signal } = controller;
    timer = setTimeout(() => work(signal).catch((error) => signal.aborted || failed(error)), delay);
  };
}

// A long text is read once: its beginning is kept as a state, and requests continue from there.
const START = { text: "", state: null }, LONG = 1000, OPEN = 200;
let kept = START;

async function keep(text, signal) {
  const from = text.startsWith(kept.text) ? kept : START;
  if (text.length - from.text.length < LONG) return;
  const end = text.length - OPEN - /[\uDC00-\uDFFF]/.test(text[text.length - OPEN]); // no character is cut in two
  const { state } = await ask("read", { text: text.slice(from.text.length, end), state: from.state }, signal);
  kept = { text: text.slice(0, end), state };
}

const after = (text) =>
  text.startsWith(kept.text) ? { prompt: text.slice(kept.text.length), state: kept.state } : { prompt: text };

const textNow = () => (facts.lower ? $("text").value.toLowerCase() : $("text").value);
const isKnown = (text) => Array.from(text).every((c) => known.has(c));
const say = (sentence) => { $("message").textContent = sentence; };

function failed(error) {
  kept = START; // another model may be served by now
  say(error.message);
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

const updateNext = latest(0, async (signal) => {
  const text = textNow();
  if (isKnown(text)) await keep(text, signal);
  else kept = START; // so that the server counts the place of the unknown character from the start
  distribution = (await ask("next", after(text), signal)).next;
  say("");
  showBars(null);
});

function showBars(other) {
  const changed = other && new Map(other.map((row) => [row.character, row.probability]));
  const larger = (row) => Math.max(row.probability, changed?.get(row.character) ?? 0);
  const shown = [...distribution].sort((a, b) => larger(b) - larger(a)).slice(0, SHOWN);
  const most = Math.max(...shown.map(larger));
  const list = $("bars"), focused = [...list.querySelectorAll("button")].indexOf(document.activeElement);
  list.className = changed ? "compared" : "";
  list.replaceChildren(...shown.map((row) => oneBar(row, most, changed?.get(row.character))));
  if (focused >= 0) list.querySelectorAll("button")[Math.min(focused, shown.length - 1)].focus();
  const expected = distribution.reduce((sum, { probability: p }) => sum - (p > 0 ? p * Math.log2(p) : 0), 0);
  $("certainty").textContent = changed
    ? `Thin bars: after the exchange, which moves the prediction by ${bits(divergence(changed))}.`
    : "It expects to be surprised by " + bits(expected) + ". Choose a bar to write its character.";
}

function oneBar(row, most, changed) {
  const button = make("button", ""), track = make("span", "track");
  const share = percent(row.probability) + (changed === undefined ? "" : " → " + percent(changed));
  track.append(bar("fill", row.probability / most), bar("ghost", (changed ?? 0) / most));
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
  text.value += characters;
  text.scrollTop = text.scrollHeight;
  changedText();
}

// ---- writing

async function write() {
  const text = $("text"), prompt = textNow(), room = text.maxLength - text.value.length;
  if (room < 1) return say(`the box is full: it holds ${text.maxLength.toLocaleString()} characters`);
  taken.push(text.value);
  writing = new AbortController();
  busy(true);
  try {
    const answer = await send("generate", { ...after(prompt), ...settings(room) }, writing.signal);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) written(part.value);
  } catch (error) {
    if (error.name !== "AbortError") say(error.message);
  }
  writing = null;
  busy(false);
  changedText();
}

let lastLook = 0;
function written(characters) {
  const text = $("text");
  text.value += characters;
  text.scrollTop = text.scrollHeight;
  if (performance.now() - lastLook < 200) return;
  lastLook = performance.now();
  updateNext();
}

function settings(room) {
  const number = (id) => ($(id).value === "" ? null : Number($(id).value));
  const optional = Object.fromEntries(["top_k", "top_p", "min_p", "repetition"].map((id) => [id, number(id)]));
  return {
    length: Math.min(number("length"), room), temperature: number("temperature"), seed: number("seed"), ...optional,
    stop: $("stops").value === "" ? [] : [$("stops").value],
  };
}

function busy(is) {
  $("write").disabled = $("text").readOnly = is;
  $("stop").disabled = !is;
  $("back").disabled = is || !taken.length;
}

function takeBack() {
  $("text").value = taken.pop();
  busy(false);
  changedText();
}

// ---- what the prediction remembers

let exchange = null; // the answer on show
let chosen = null; // the position that is exchanged

const updateMemory = latest(250, async (signal) => {
  exchange = await ask("exchange", { text: textNow(), back: 80 }, signal);
  const cells = Array.from(exchange.characters).map((c, i) => cell(c, i));
  if (cells.length) cells.at(-1).tabIndex = 0;
  $("strip").replaceChildren(...cells);
  $("exchanged").textContent = cells.length ? reach() : "With nothing read, it knows only how frequent each character is.";
});

const TOP = 2.8; // rem: the height of a bar of 1 bit; a tenth of a bit is a third lower, and so on
const height = (b) => TOP * Math.min(1, Math.max(0, 1 + Math.log10(Math.max(b, 1e-9)) / 3));

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

// How far back an exchange still matters by a hundredth of a bit.
function reach() {
  const first = exchange.bits.findIndex((b) => b >= 0.01), far = exchange.bits.length - first;
  if (first < 0) return "No single character moves this prediction by a hundredth of a bit.";
  const least = first === 0 && exchange.start > 0 ? "at least " : "";
  return `It looks ${least}${far} character${far > 1 ? "s" : ""} back: farther ones move this prediction by less than 0.01 bits.`;
}

function showCell(item) {
  if (chosen !== null) return;
  const i = Number(item.dataset.at), back = exchange.bits.length - i, instead = exchange.instead[i];
  const sentence = ` ${back} back: exchanged for what it expected there${instead ? " (such as " : ""}`;
  const parts = [make("b", "", visible(Array.from(exchange.characters)[i])), sentence];
  if (instead) parts.push(make("i", "", visible(instead)), ")");
  $("exchanged").replaceChildren(...parts, `, it moves the prediction by ${bits(exchange.bits[i])}.`);
}

function choose(item) {
  const i = Number(item.dataset.at), again = chosen === i;
  restore();
  if (again) return;
  showCell(item);
  chosen = i;
  item.classList.add("chosen");
  item.setAttribute("aria-pressed", "true");
  $("instead").hidden = false;
  $("other").value = exchange.instead[i];
  updateOther();
}

const updateOther = latest(0, async (signal) => {
  const other = Array.from($("other").value)[0];
  if (chosen === null || other === undefined) return;
  const characters = Array.from(textNow());
  characters[exchange.start + chosen] = other;
  const answer = await ask("next", after(characters.join("")), signal);
  say("");
  if (chosen === null) return;
  showBars(answer.next);
  const likely = (rows) => rows.slice(0, 3).flatMap((row, k) => [k ? ", " : "", make("i", "", visible(row.character)), " " + percent(row.probability)]);
  $("outcome").replaceChildren("It would expect ", ...likely(answer.next), " instead of ", ...likely(distribution), ".");
});

function restore() {
  if (chosen === null) return;
  chosen = null;
  for (const item of $("strip").querySelectorAll(".chosen")) {
    item.classList.remove("chosen");
    item.removeAttribute("aria-pressed");
  }
  $("instead").hidden = true;
  $("outcome").textContent = "";
  showBars(null);
}

// ---- what surprised it

const LEVELS = [0.5, 1, 2, 4, 7];

let scored = []; // the characters on show

const updateSurprise = latest(400, async (signal) => {
  const text = textNow();
  for (const id of ["painted", "figures"]) if (!text) $(id).replaceChildren();
  $("rule").textContent = $("expected").textContent = "";
  if (!text) return;
  const score = await ask("score", { text }, signal);
  scored = Array.from(score.text);
  const spans = scored.map((c, i) => painted(c, score.each[i], i));
  spans[0].tabIndex = 0;
  $("painted").replaceChildren(...spans);
  $("painted").scrollTop = $("painted").scrollHeight;
  $("expected").textContent = "Point at a character to see what was expected in its place.";
  showFigures(score);
});

function painted(character, b, i) {
  const level = LEVELS.filter((bound) => b >= bound).length;
  const span = make("span", `s${level}${character === "\n" ? " end" : ""}`, character === "\n" ? "⏎\n" : character);
  span.tabIndex = -1;
  span.dataset.at = i;
  span.dataset.bits = b;
  return span;
}

let shownSpan = null;
const updateExpected = latest(60, async (signal) => {
  const span = shownSpan, at = Number(span.dataset.at);
  const { next } = await ask("next", { ...after(scored.slice(0, at).join("")), top: 4 }, signal);
  const likely = next.filter((row) => row.character !== scored[at]).slice(0, 3);
  const parts = [make("b", "", visible(scored[at])), ` cost ${bits(Number(span.dataset.bits))}. `];
  parts.push(likely.length < next.length && next[0].character === scored[at] ? "It was the likeliest; behind it " : "Expected instead: ");
  likely.forEach((row, k) => parts.push(k ? ", " : "", make("i", "", visible(row.character)), " " + percent(row.probability)));
  $("expected").replaceChildren(...parts, ".");
});

function showFigures(score) {
  const rows = [["this network", score.bits, "own"], ["xz", score.xz_bits, ""], ["gzip", score.gzip_bits, ""]];
  const most = Math.max(...rows.map((row) => row[1]));
  $("figures").replaceChildren(...rows.flatMap(([name, value, own]) => {
    const track = make("dd", "track " + own);
    track.append(bar("fill", value / most));
    return [make("dt", "", name), track, make("dd", "value", value.toFixed(2))];
  }));
  const short = score.characters < 2000 ? " gzip and xz carry headers, which weigh on a text as short as this one." : "";
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
  $("neighbours").textContent = "Nobody told it what a vowel is. Point at a character to see which lie nearest.";
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

// ---- the whole

function changedText() {
  restore();
  $("remove").hidden = isKnown(textNow());
  updateNext();
  if (writing) return;
  updateMemory();
  updateSurprise();
}

function removeUnknown() {
  $("text").value = Array.from(textNow()).filter((c) => known.has(c)).join("");
  changedText();
}

function showFacts() {
  const count = (n) => n.toLocaleString(), { validation } = facts.losses;
  const parts = [
    facts.rung, `${facts.layers === 1 ? "1 layer" : facts.layers + " layers"} of ${count(facts.hidden)} hidden units`,
    `${count(facts.weights)} weights`, `${count(facts.characters.length)} characters`,
  ];
  if (facts.sources.length) parts.push(`learned from ${facts.sources.join(", ")}` + (facts.seconds ? ` in ${(facts.seconds / 60).toFixed(1)} minutes` : ""));
  if (validation) parts.push(`${validation.bits.toFixed(2)} bits per character on held-out text`);
  if (!facts.finished) parts.push("training is not finished");
  $("facts").textContent = parts.join(" · ");
  document.title = `${facts.name} · unrolled`;
}

// Opens with the text after # in the address, or with a few lines that the network writes itself.
async function open() {
  facts = await ask("model");
  known = new Set(facts.characters);
  showFacts();
  showMap().catch((error) => { $("axes").textContent = error.message; });
  const given = decoded(location.hash.slice(1));
  const start = ["The ", "the "].find(isKnown) ?? "";
  $("text").value = given || start;
  if (given) return changedText();
  await write();
  taken = [];
  busy(false);
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a lone % is no code
  }
}

$("text").addEventListener("input", changedText);
$("settings").addEventListener("submit", (event) => { event.preventDefault(); if (!writing) write(); });
$("stop").addEventListener("click", () => writing?.abort());
$("back").addEventListener("click", takeBack);
$("remove").addEventListener("click", removeUnknown);
$("restore").addEventListener("click", restore);
$("other").addEventListener("input", updateOther);
$("temperature").addEventListener("input", () => { $("degrees").textContent = Number($("temperature").value).toFixed(2); });
$("strip").addEventListener("click", (event) => { const item = event.target.closest("button"); if (item) choose(item); });
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") writing ? writing.abort() : restore();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !writing) $("settings").requestSubmit();
});
roving($("strip"), "button", showCell);
roving($("painted"), "span", (span) => { shownSpan = span; updateExpected(); });
roving($("map"), "g[data-character]", showPoint);
open().catch((error) => say(error.message));
