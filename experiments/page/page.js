"use strict";
// The page: settings in, drawings out. Everything that is computed comes from `engine`.
const $ = id => document.getElementById(id);
const FIELDS = [
  { name: "seed", kind: "seed", start: "article" },
  { name: "rateG", kind: "log", low: 1e-4, high: 10, start: 0.01 },
  { name: "rateD", kind: "log", low: 1e-4, high: 10, start: 0.01 },
  { name: "linked", kind: "flag", start: true },
  { name: "epochs", kind: "log", low: 10, high: 20000, start: 1000, whole: true },
  { name: "objective", kind: "choice", start: "non-saturating" },
  { name: "penalty", kind: "choice", start: "none", from: ["none", "R1", "WGAN-GP"] },
  { name: "penaltyStrength", kind: "log", low: 1e-3, high: 10, start: 0.1 },
  { name: "order", kind: "choice", start: "tutorial" },
  { name: "way", kind: "choice", start: "plain" },
  { name: "strength", kind: "log", low: 1e-2, high: 1000, start: 1 },
  { name: "momentum", kind: "number", low: -0.95, high: 0.95, start: 0 },
];
const BY_NAME = Object.assign(Object.create(null), Object.fromEntries(FIELDS.map(field => [field.name, field])));
const ALONE = Object.freeze({ name: "none", value: "" });
const KEYS = ["t", "z", "moves", "painted", "game", "x", "y", "language", "change", "to"], GAMES = ["dirac", "bilinear"], FAR = 3;
const OTHER = ["way", "penalty", "order", "objective", "rateG", "rateD", "momentum", "seed"];
const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
let language = "en", E, data, S, other = ALONE, now = null, second = null, at = 0, z = 0.5;
let painted, game, from = [1, 1], moves = 0, timer = null, notes = [], trained = () => "";

const say = (key, values = {}) => TEXTS[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
const number = (value, digits = 3) => Number.isInteger(value) && Math.abs(value) < 1e6 ? String(value) : !Number.isFinite(value) ? String(value).replace("Infinity", "∞") : Math.abs(value) >= 1e5 || (value !== 0 && Math.abs(value) < 1e-3) ? value.toExponential(digits - 1) : Math.abs(value) >= 1000 ? Number(value.toPrecision(digits)).toLocaleString("en") : value.toPrecision(digits);
const sentences = (...parts) => parts.filter(Boolean).join(language === "zh" ? "" : " ");
const sigma = x => 1 / (1 + Math.exp(-x));
const color = name => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// ---- Settings, from the address and back

function choices(name) {
  if (name === "objective") return Object.keys(data.objectives);
  if (name === "way") return Object.keys(data.ways);
  if (name === "order") return ordersOf(S);
  return BY_NAME[name].from;
}

// The tutorial's order needs an objective whose loss of D has two terms.
const ordersOf = s => data.ways[s.way].orders.filter(order => order !== "tutorial" || !data.one_term.includes(s.objective));

const strengthOf = way => data.ways[way].strength ? data.ways[way].strength.start : BY_NAME.strength.start;

// What the second run can differ in.
const others = s => OTHER.filter(name => name !== "momentum" || data.ways[s.way].momentum);

const limits = field => field.name === "strength" && S ? data.ways[S.way].strength || field : field;

const numeric = text => text.trim() === "" ? NaN : Number(text);

function checked(field, text) {
  const { low, high } = limits(field);
  if (field.kind === "seed") return text === "article" || (/^\d{1,10}$/.test(text) && Number(text) < 2 ** 32) ? (text === "article" ? text : Number(text)) : undefined;
  if (field.kind === "flag") return text === "true" || text === "false" ? text === "true" : undefined;
  if (field.kind === "choice") return choices(field.name).includes(text) ? text : undefined;
  const value = numeric(text);
  return value >= low && value <= high && (!field.whole || Number.isInteger(value)) ? value : undefined;
}

// Notes are made anew when the language changes.
const complain = (name, value, used) => notes.push(() => say("wrong", { name: name(), value: String(value).slice(0, 30), used: used() }));

function fromAddress() {
  const given = new URLSearchParams(location.hash.slice(1)), asked = given.get("language");
  notes = [];
  if (asked === null) language = navigator.language.startsWith("zh") ? "zh" : language;
  else if (Object.hasOwn(TEXTS, asked)) language = asked;
  else complain(() => "language", asked, () => language);
  S = null;
  // What a key of the address says, and if that is wrong, `usual`, with a note.
  const taken = (key, name, usual, read) => {
    const text = given.get(key), value = text === null ? usual : read(text);
    if (value !== undefined) return value;
    complain(name, text, () => usual);
    return usual;
  };
  const between = (low, high) => text => numeric(text) >= low && numeric(text) <= high ? Number(text) : undefined;
  const whole = high => text => Number.isInteger(between(0, high)(text)) ? Number(text) : undefined;
  const read = {};
  for (const field of [...FIELDS].sort((a, b) => (b.name === "way" || b.name === "objective") - (a.name === "way" || a.name === "objective"))) {
    const text = given.get(field.name);
    let value = text === null ? undefined : checked(field, text);
    const start = field.name === "strength" ? strengthOf(read.way) : field.name === "order" ? ordersOf(S)[0] : field.start;
    if (value === undefined) {
      value = start;
      if (text !== null) complain(() => label(field.name), text, () => shownChoice(field.name, value));
    }
    read[field.name] = value;
    S = { ...read };
  }
  for (const name of given.keys()) if (!BY_NAME[name] && !KEYS.includes(name)) complain(() => "#", name, () => say("none"));
  if (S.linked && !given.has("rateD")) S.rateD = S.rateG;
  if (S.linked && S.rateD !== S.rateG) S.linked = false;
  other = { name: given.get("change") || "none", value: given.get("to") || "" };
  if (other.name !== "none" && (!others(S).includes(other.name) || checkedFor(other) === undefined)) {
    complain(() => say("two_what"), `${other.name} ${other.value}`, () => say("none"));
    other = ALONE;
  }
  const end = S.epochs * E.FACES, most = data.about[`faces: ${S.way}, ${S.order}`].moves - 1;
  at = taken("t", () => say("time"), end, whole(end));
  moves = taken("moves", () => say("moves"), 0, whole(at < end ? most : 0));
  z = taken("z", () => "z", 0.5, between(0, 1));
  painted = taken("painted", () => say("paint"), [1, 0, 0, 1], text => {
    const values = text.split(",").map(between(0, 1));
    return values.length === 4 && !values.includes(undefined) ? values : undefined;
  });
  game = taken("game", () => say("game"), GAMES[0], text => GAMES.includes(text) ? text : undefined);
  from = ["x", "y"].map(key => taken(key, () => say(`start_${key}`), 1, between(-FAR, FAR)));
}

const checkedFor = ({ name, value }) => checked(BY_NAME[name], value);

function address() {
  const parts = new URLSearchParams();
  for (const { name } of FIELDS) parts.set(name, S[name]);
  parts.set("t", at);
  if (moves) parts.set("moves", moves);
  parts.set("z", z);
  parts.set("painted", painted);
  parts.set("game", game);
  parts.set("x", from[0]);
  parts.set("y", from[1]);
  if (other.name !== "none") { parts.set("change", other.name); parts.set("to", other.value); }
  parts.set("language", language);
  return `#${parts}`;
}

function remember() { history.replaceState(null, "", address()); }

// ---- Controls

const label = name => name === "change" ? say("two_what") : say(name);
const shownChoice = (name, value) => name === "order" || value === "none" || value === "article" ? say(value) : value;
const toSlider = (field, value) => field.kind === "log" ? Math.log10(value) : value;

// A field with its name. `value` is what it has, and `change` is told a right value; a wrong one is complained about.
function control(field, value, change, id = `set-${field.name}`) {
  const box = document.createElement("div"), head = document.createElement("label"), input = document.createElement(field.kind === "choice" ? "select" : "input");
  box.className = "setting";
  head.textContent = label(field.name);
  head.htmlFor = input.id = id;
  input.name = field.name;
  box.append(head, " ");
  if (field.kind === "choice") {
    for (const choice of choices(field.name)) input.append(new Option(shownChoice(field.name, choice), choice));
    input.value = value;
    input.onchange = () => change(input.value);
  } else if (field.kind === "flag") {
    input.type = "checkbox";
    input.checked = value;
    input.onchange = () => change(input.checked);
  } else if (field.kind === "seed") {
    input.inputMode = "numeric";
    input.placeholder = say("article");
    typed(input, () => label(field.name), value, v => v === "article" ? "" : v, text => checked(field, text.trim() || "article"), change);
  } else {
    const { low, high } = limits(field), ends = [toSlider(field, low), toSlider(field, high)], length = ends[1] - ends[0];
    const text = document.createElement("input"), shown = v => field.whole ? v : number(v);
    text.className = "value";
    text.inputMode = "decimal";
    text.setAttribute("aria-label", label(field.name));
    const keep = typed(text, () => label(field.name), value, shown, entry => checked(field, entry), v => { input.value = toSlider(field, v); change(v); });
    input.type = "range";
    [input.min, input.max] = ends;
    input.step = length / Math.round(length / (field.kind === "log" ? 0.01 : 0.05)) * (1 - 1e-12);  // so that the last step is the end
    input.value = toSlider(field, value);
    input.oninput = () => {
      let v = field.kind === "log" ? 10 ** Number(input.value) : Number(input.value);
      v = field.whole ? Math.round(v) : Number(v.toPrecision(3));
      v = Math.min(high, Math.max(low, v));
      keep(v);
      change(v);
    };
    box.append(text);
  }
  box.append(input);
  return box;
}

// A field that one types in. It shows `shown` of its value. If `read` of what is typed is undefined, it keeps the value.
function typed(input, name, value, shown, read, change) {
  const keep = v => { value = v; input.value = shown(v); };
  keep(value);
  input.onchange = () => {
    const v = read(input.value), wrong = input.value;
    notes = [];
    if (v === undefined) complain(name, wrong, () => shown(value) === "" ? say("article") : shown(value));
    keep(v ?? value);
    if (v === undefined) sayStatus(); else change(v);
  };
  return keep;
}

function buildControls() {
  const form = $("controls"), focused = document.activeElement && document.activeElement.id;
  form.replaceChildren();
  for (const field of FIELDS) {
    if (field.name === "penaltyStrength" && S.penalty === "none") continue;
    if (field.name === "strength" && !data.ways[S.way].strength) continue;
    if (field.name === "rateD" && S.linked) continue;
    if (field.name === "momentum" && !data.ways[S.way].momentum) continue;
    form.append(control(field, S[field.name], value => set(field.name, value)));
  }
  if (focused && $(focused)) $(focused).focus();
}

function set(name, value) {
  const atEnd = at === now.steps;
  S = { ...S, [name]: value };
  if (S.linked) S.rateD = S.rateG;
  if (name === "way") S.strength = strengthOf(S.way);
  if (!ordersOf(S).includes(S.order)) S.order = ordersOf(S)[0];
  at = atEnd ? S.epochs * E.FACES : Math.min(at, S.epochs * E.FACES);
  notes = [];
  if (other.name !== "none" && (!others(S).includes(other.name) || checkedFor(other) === undefined)) other = ALONE;
  if (["linked", "penalty", "way", "objective", "seed"].includes(name) || name === "order") { buildControls(); buildOther(); }
  retrain();
}

// ---- Training and drawing

function secondSettings() {
  if (other.name === "none") return null;
  const made = { ...S, [other.name]: checkedFor(other) };
  if (other.name === "way") made.strength = strengthOf(made.way);
  if (other.name === "rateG" && S.linked) made.rateD = made.rateG;
  if (!ordersOf(made).includes(made.order)) made.order = ordersOf(made)[0];
  return made;
}

let waiting = 0;
function retrain() {
  if (waiting) return;
  waiting = requestAnimationFrame(() => { waiting = 0; train(); });
}

// Trains again. `within` is how many moves of the step that is shown are made.
function train(within = 0) {
  const began = performance.now();
  now = E.trained(S);
  const changed = secondSettings();
  second = changed && { ...E.trained(changed), order: changed.order };
  now.spectrum = null;
  at = Math.min(at, now.steps);
  moves = at < now.steps ? within : 0;
  drawAll();
  const spent = performance.now() - began, { steps, diverged } = now;
  window.spent = spent;
  trained = () => diverged === null ? say("trained", { steps, ms: spent.toFixed(0) }) : say("diverged", { epoch: diverged });
  sayStatus();
  remember();
  later();
}

function sayStatus() {
  $("status").textContent = sentences(...notes.map(note => note()), trained());
  $("status").classList.toggle("wrong", notes.length > 0 || now.diverged !== null);
}

let later_timer = null;
function later() {
  clearTimeout(later_timer);
  later_timer = setTimeout(() => {
    now.spectrum = now.diverged === null ? E.spectrum(S, now.run.to(now.steps).players()) : null;
    drawSpectrum();
    drawField();
    populate();
  }, 30);
}

function drawAll() {
  sayWords();
  drawTime();
  drawCurves();
  drawDistance();
  drawSpiral();
  sayCompared();
}

function sayCompared() {
  const end = run => run.diverged === null ? say("end_distance", { distance: number(run.history.values.at(-1)[2]) }) : say("diverged_in", { epoch: run.diverged });
  const order = second && other.name !== "order" && second.order !== S.order ? say("order_second", { order: say(second.order) }) : "";
  $("compared").textContent = second ? sentences(say("compared", { a: end(now), b: end(second) }), order) : "";
}

function face(image, paint = null) {
  const box = document.createElement("div");
  box.className = "face";
  image.forEach((value, k) => {
    const cell = document.createElement(paint ? "button" : "span");
    const grey = Math.round(255 * (1 - Math.min(1, Math.max(0, value))));
    cell.style.background = `rgb(${grey},${grey},${grey})`;
    cell.style.color = value > 0.5 ? "#fff" : "#000";
    cell.textContent = value.toFixed(2);
    if (paint) { cell.type = "button"; cell.setAttribute("aria-label", say("pixel", { k: k + 1, value: value.toFixed(2) })); cell.onclick = () => paint(k); }
    box.append(cell);
  });
  return box;
}

function verdict(logit) {
  const text = document.createElement("span");
  text.className = "verdict d";
  text.textContent = say("probability", { logit: number(logit), p: sigma(logit).toFixed(3) });
  return text;
}

// The run at the step that is shown, after the moves of it that were made alone.
function shownRun() {
  const run = now.run.to(at);
  for (let k = 0; k < moves; k++) { if (k === 0) run.draw(); run.move(k); }
  return run;
}

function drawTime() {
  const run = shownRun();
  $("step").max = now.steps;
  $("step").value = at;
  $("at").textContent = `${at} / ${now.steps}`;
  $("latent").value = z;
  $("z").textContent = z.toFixed(3);
  const faces = $("faces"), faces_were = faces.children.length;
  const logits = data.faces.map(image => run.judged(image));
  if (!faces_were) for (const image of data.faces) { const one = document.createElement("div"); one.append(face(image), document.createElement("span")); faces.append(one); }
  logits.forEach((logit, k) => { faces.children[k].lastChild.replaceWith(Object.assign(document.createElement("span"), { className: "d", textContent: sigma(logit).toFixed(3) })); });
  const shown = run.shown(z);
  $("drawn").replaceChildren(face(shown.slice(0, 4)), verdict(shown[4]));
  const held = document.activeElement?.closest?.("#painted") ? [...$("painted").querySelectorAll("button")].indexOf(document.activeElement) : -1;
  $("painted").replaceChildren(face(painted, k => { painted[k] = painted[k] >= 0.99 ? 0 : Math.min(1, painted[k] + 0.25); drawTime(); remember(); }), verdict(run.judged(painted)));
  if (held >= 0) $("painted").querySelectorAll("button")[held].focus();
  drawNetwork(run.players(), shown);
  sayMove(run);
  sayNumbers(run);
  markTime();
  if (!$("lines").hidden) $("lines").textContent = pythonLines();
}

function sayMove(run) {
  const ended = at >= now.steps && moves === 0;
  if (ended) { $("move").textContent = ""; return; }
  if (moves === 0) run.draw();
  const latent = run.sample("latent"), real = [0, 1, 2, 3].map(k => run.sample(`real[${k}]`));
  const fake = run.shown(latent)[4], face_logit = run.judged(real);
  const softplus = v => Math.log1p(Math.exp(-Math.abs(v))) + Math.max(v, 0);
  const plain = S.way === "plain" && S.momentum === 0 && S.penalty === "none";
  if (plain && S.order === "tutorial" && S.objective === "non-saturating") {
    const key = ["move_real", "move_fake", "move_g"][moves];
    const logit = moves === 0 ? face_logit : fake;
    $("move").textContent = say(key, { logit: number(logit), z: latent.toFixed(3), loss: number(softplus(moves === 1 ? logit : -logit)) });
  } else $("move").textContent = say("move_all", { k: moves + 1, n: run.about.moves });
}

function sayNumbers(run) {
  const p = run.players(), row = values => values.map(v => v.toFixed(8)).join("  ");
  const lines = [`w  ${row(p.slice(0, 4))}`, `b  ${row(p.slice(4, 8))}`, `u  ${row(p.slice(8, 12))}`, `c  ${row(p.slice(12))}`];
  if (run.article) lines.push("", say("four"), ...data.article.shown.map(latent => row(run.shown(Math.fround(latent)).slice(0, 4))));
  $("values").textContent = lines.join("\n");
}

function drawNetwork(p, shown) {
  const [w, b, u, c] = [p.slice(0, 4), p.slice(4, 8), p.slice(8, 12), p[12]];
  const line = (x1, y1, x2, y2, v) => `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="${color(v < 0 ? "minus" : "plus")}" stroke-width="${Math.min(9, 0.5 + 1.6 * Math.abs(v))}" opacity="0.75"/>`;
  const dot = (x, y, text, name) => `<circle cx="${x}" cy="${y}" r="19" fill="${color("ground")}" stroke="${color(name)}" stroke-width="2"/><text x="${x}" y="${y + 4}" text-anchor="middle">${text}</text>`;
  const text = (x, y, v, name, anchor = "start") => `<text x="${x}" y="${y}" text-anchor="${anchor}" style="fill:${color(name)}">${v}</text>`;
  let art = "";
  for (let k = 0; k < 4; k++) {
    const y = 40 + 56 * k;
    art += line(50, 125, 260, y, w[k]) + line(280, y, 480, 125, u[k]);
    art += text(150, 125 + (y - 125) * 0.47 - 4, `w ${w[k].toFixed(3)}`, "g", "middle") + text(390, 125 + (y - 125) * 0.47 - 4, `u ${u[k].toFixed(3)}`, "d", "middle");
    art += dot(270, y, shown[k].toFixed(2), "g") + text(270, y + 32, `b ${b[k].toFixed(3)}`, "g", "middle");
  }
  art += dot(40, 125, z.toFixed(2), "quiet") + dot(490, 125, sigma(shown[4]).toFixed(2), "d") + text(490, 162, `c ${c.toFixed(3)}`, "d", "middle");
  const net = $("network");
  net.setAttribute("aria-label", `w ${w.map(v => v.toFixed(3))}, b ${b.map(v => v.toFixed(3))}, u ${u.map(v => v.toFixed(3))}, c ${c.toFixed(3)}`);
  net.innerHTML = art;
}

// A number beside an axis; near 1 with the digits in which the ends differ.
function tick(value, [low, high]) {
  const digits = Math.max(0, Math.min(9, 1 - Math.floor(Math.log10(high - low))));
  return Math.abs(value) < 1e6 ? String(Number(value.toFixed(digits))) : number(value);
}

// A plane to draw on, with axes. `xs` and `ys` are the ends; with `log` the y axis is logarithmic.
function plane(id, xs, ys, { log = false, square = false, ticks = true } = {}) {
  const canvas = $(id), ratio = devicePixelRatio || 1, width = canvas.clientWidth || canvas.width, height = Number(canvas.dataset.height ||= canvas.getAttribute("height"));
  canvas.width = width * ratio; canvas.height = height * ratio; canvas.style.height = `${height}px`;
  const c = canvas.getContext("2d"), left = 52, bottom = 24, w = width - left - 8, h = height - bottom - 8;
  c.setTransform(ratio, 0, 0, ratio, 0, 0);
  c.clearRect(0, 0, width, height);
  if (square) {
    const scale = Math.max((xs[1] - xs[0]) / w, (ys[1] - ys[0]) / h), mx = (xs[0] + xs[1]) / 2, my = (ys[0] + ys[1]) / 2;
    xs = [mx - scale * w / 2, mx + scale * w / 2]; ys = [my - scale * h / 2, my + scale * h / 2];
  }
  const t = log ? Math.log10 : v => v;
  const X = v => left + w * (v - xs[0]) / (xs[1] - xs[0]), Y = v => 8 + h * (1 - (t(v) - t(ys[0])) / (t(ys[1]) - t(ys[0])));
  c.font = "11px system-ui"; c.fillStyle = color("quiet"); c.strokeStyle = color("line"); c.lineWidth = 1;
  c.strokeRect(left, 8, w, h);
  if (ticks) for (const share of [0, 0.5, 1]) {
    const x = xs[0] + share * (xs[1] - xs[0]), y = log ? 10 ** (t(ys[0]) + share * (t(ys[1]) - t(ys[0]))) : ys[0] + share * (ys[1] - ys[0]);
    c.textAlign = share === 0 ? "left" : share === 1 ? "right" : "center";
    c.fillText(tick(x, xs), X(x), height - 8);
    c.textAlign = "right";
    c.fillText(log ? number(y, 2) : tick(y, ys), left - 4, Y(y) + 4);
  }
  c.beginPath(); c.rect(left, 8, w, h); c.save(); c.clip();
  const line = (points, name, { dash = [], width: thick = 1.6 } = {}) => {
    c.beginPath(); c.setLineDash(dash); c.strokeStyle = color(name); c.lineWidth = thick;
    points.forEach(([x, y], k) => c[k ? "lineTo" : "moveTo"](X(x), Y(y)));
    c.stroke(); c.setLineDash([]);
  };
  const dot = (x, y, name, r = 4) => { c.beginPath(); c.arc(X(x), Y(y), r, 0, 7); c.fillStyle = color(name); c.fill(); };
  return { c, X, Y, line, dot, xs, ys, left, w, h, end: () => c.restore(), x: px => xs[0] + (px - left) / w * (xs[1] - xs[0]), y: py => ys[0] + (1 - (py - 8) / h) * (ys[1] - ys[0]) };
}

const column = (run, k) => run.history.epochs.map((epoch, i) => [epoch, run.history.values[i][k]]);
const lastEpoch = () => Math.max(1, S.epochs);

function drawCurves() {
  const all = [now, second].filter(Boolean).flatMap(run => run.history.values.flatMap(v => [v[0], v[1]])).filter(Number.isFinite);
  const low = Math.min(0, ...all), high = Math.min(20, Math.max(2, ...all));
  const p = plane("curves", [0, lastEpoch()], [low, high]);
  for (const [k, name] of ["g", "d"].entries()) for (const value of [data.undecided[S.objective][k]].filter(level => level !== null)) p.line([[0, value], [lastEpoch(), value]], name, { dash: [4, 4], width: 1 });
  if (second) for (const k of [0, 1]) p.line(column(second, k), "other", { width: 1.2 });
  p.line(column(now, 0), "g"); p.line(column(now, 1), "d");
  p.end(); marks.curves = p;
}

function drawDistance() {
  const all = [now, second].filter(Boolean).flatMap(run => run.history.values.map(v => v[2])).filter(v => v > 0);
  const p = plane("distance", [0, lastEpoch()], [Math.max(1e-8, Math.min(...all, 0.5)) / 1.3, Math.min(10, Math.max(1, ...all) * 1.3)], { log: true });
  if (second) p.line(column(second, 2).filter(q => q[1] > 0), "other");
  p.line(column(now, 2).filter(q => q[1] > 0), "g");
  const told = E.forecast(now.spectrum ?? {}), points = column(now, 2);
  if (told && points.length && !E.straight(now.spectrum)) {
    const from = Math.floor(points.length / 2), peak = Math.max(...points.slice(from).map(q => q[1])), [e0] = points.slice(from).find(q => q[1] === peak);
    p.line(points.map(([epoch]) => [epoch, peak * Math.exp(-(epoch - e0) * E.FACES / told.fold)]), "quiet", { dash: [4, 4] });
    const half = told.turn / E.FACES / 2;
    for (let e = e0; e <= lastEpoch() && half > lastEpoch() / 400; e += half) p.line([[e, p.ys[0]], [e, p.ys[0] * 1.25]], "quiet", { width: 2 });
  }
  p.end(); marks.distance = p;
}

function drawSpiral() {
  const track = run => run.history.values.map(v => [v[3], v[4]]), both = [...track(now), ...(second ? track(second) : [])].filter(q => q.every(Number.isFinite));
  const reach = k => Math.max(0.05, ...both.map(q => Math.abs(q[k]))) * 1.1;
  const p = plane("spiral", [-reach(0), reach(0)], [-reach(1), reach(1)]);
  p.line([[-9, 0], [9, 0]], "line"); p.line([[0, -1e4], [0, 1e4]], "line");
  if (second) p.line(track(second), "other", { width: 1.2 });
  p.line(track(now), "g");
  if (track(now).length) p.dot(...track(now).at(-1), "d");
  p.end();
}

function drawSpectrum() {
  drawDistance(); markTime();
  const { values = [], period = 1, drift = 0, why } = now.spectrum ?? {}, told = E.forecast({ values, period });
  const straight = E.straight({ values });
  const near = values.filter(value => Math.hypot(...value) > 0.5 ** period), turning = near.filter(([re, im]) => Math.abs(im) > 1e-9);
  const reach = Math.max(...(turning.length ? turning : near).concat(straight ? [straight] : []).map(([re, im]) => Math.hypot(re - 1, im)), values.length ? 1e-6 : 0.7) * 1.6;
  const span = reach > 0.9 ? Math.max(1.2, straight ? 1.1 * Math.hypot(...straight) : 0) : reach, mid = reach > 0.9 ? 0 : 1;
  const p = plane("circle", [mid - span, mid + span], [-span, span], { square: true });
  p.line(Array.from({ length: 2001 }, (_, k) => { const a = (k - 1000) / 1000 * Math.min(Math.PI, 3 * span + 0.01); return [Math.cos(a), Math.sin(a)]; }), "quiet");
  for (const value of values) p.dot(...value, E.grows(value) ? "minus" : "plus", 4);
  p.end();
  if (!now.spectrum) { $("forecast").textContent = ""; return; }
  const what = told && (told.fold === Infinity ? "still" : told.fold > 0 ? "decays" : "grows");
  $("forecast").textContent = sentences(
    why ? say(why) : told ? say(what, { turn: number(told.turn / E.FACES), fold: number(Math.abs(told.fold) / E.FACES), apart: number(Math.abs(told.size - 1), 2) }) : say("no_forecast"),
    straight ? say("straight", { mu: number(straight[0], 4) }) : "",
    drift > 1e-9 ? say("drift", { drift: number(drift / period, 2) }) : "",
  );
}

const marks = {};
function markTime() {
  $("here").textContent = say("here", { distance: number(shownRun().distance()), least: number(now.least.distance), epoch: now.least.epoch });
  for (const id of ["curves", "distance"]) {
    const canvas = $(id);
    let mark = canvas.nextElementSibling;
    if (!mark) { mark = document.createElement("div"); canvas.parentElement.style.position = "relative"; canvas.after(mark); mark.style.cssText = "position:absolute;width:2px;pointer-events:none;opacity:.6"; }
    const p = marks[id];
    if (!p) continue;
    mark.style.background = color("text");
    mark.style.left = `${canvas.offsetLeft + p.X(at / E.FACES)}px`;
    mark.style.top = `${canvas.offsetTop + 8}px`;
    mark.style.height = `${p.h}px`;
  }
}

// ---- The plane of two numbers

function drawField() {
  const place = game, orders = [S.order, "alternating", "simultaneous"];
  const found = [S.way, "plain"].flatMap(way => orders.map(order => ({ ...S, way, order }))).find(one => data.about[`${place}: ${one.way}, ${one.order}`]);
  const s = found, known = s.way === S.way;
  const p = plane("field", [-FAR, FAR], [-FAR, FAR], { square: true });
  for (let a = -2.75; a < 3; a += 0.5) for (let b = -2.75; b < 3; b += 0.5) {
    const end = new E.Run(s, place, [a, b]).advance(1).players(), dx = end[0] - a, dy = end[1] - b, size = Math.hypot(dx, dy);
    if (!(size > 0)) continue;
    const x = a + 0.32 * dx / size, y = b + 0.32 * dy / size;
    p.line([[a, b], [x, y]], "quiet", { width: 1 });
    p.dot(x, y, "quiet", 1.8);
  }
  const run = new E.Run(s, place, from), track = [from];
  const rate = Math.sqrt(S.rateG * S.rateD), count = Math.min(20000, Math.max(200, Math.round(40 / rate))), every = Math.max(1, Math.floor(count / 1500));
  for (let k = every; k <= count && run.finite(); k += every) track.push(run.advance(k).players());
  p.line(track, "g", { width: 1.8 });
  p.dot(...from, "plus"); p.dot(...track.at(-1), "d"); p.dot(0, 0, "text", 2.5);
  p.end(); marks.field = p;
  $("field_says").textContent = sentences(
    known ? "" : say("not_here"), s.order === S.order ? "" : say("order_here", { order: say(s.order) }),
    place === "bilinear" && S.penalty !== "none" ? say("no_penalty", { penalty: S.penalty }) : "",
    say("field_says", { steps: run.step, a: number(Math.hypot(...from)), b: number(Math.hypot(...track.at(-1))) }),
  );
}

// ---- The population, in a worker

const SEEDS = 200, CELLS = 24, MOST_EPOCHS = 2000, MAP_EPOCHS = 300;
const counted = s => ({ n: SEEDS, last: SEEDS - 1, most: MOST_EPOCHS, epochs: Math.min(s.epochs, MOST_EPOCHS), map_epochs: MAP_EPOCHS, seed: s.seed === "article" ? 0 : s.seed });
function work() {
  onmessage = async event => {
    const { data: given, s, ticket, todo, count, cells, low, high } = event.data;
    if (given) { self.E = engine(given); return; }
    self.ticket = ticket;
    const end = (one, epochs) => {
      const run = new E.Run({ ...one, epochs }).advance(epochs * E.FACES);
      return run.finite() ? run.distance() : Infinity;
    };
    let done = performance.now();
    const pause = async () => { if (performance.now() - done > 60) { await new Promise(r => setTimeout(r)); done = performance.now(); } return self.ticket === ticket; };
    const distances = [];
    for (let seed = 0; todo.includes("histogram") && seed < count.n; seed++) {
      distances.push(end({ ...s, seed }, count.epochs));
      if (seed % 20 === 19) postMessage({ ticket, distances: distances.slice(), done: seed === count.n - 1 && "histogram" });
      if (!await pause()) return;
    }
    if (!todo.includes("map")) return;
    const rate = k => low * (high / low) ** (k / (cells - 1));
    for (const size of [8, 4, 2, 1]) for (let i = 0; i < cells; i += size) {
      const row = [];
      for (let j = 0; j < cells; j += size) {
        row.push([i, j, size, end({ ...s, seed: count.seed, rateG: rate(j), rateD: rate(i) }, count.map_epochs)]);
        if (!await pause()) return;
      }
      postMessage({ ticket, row, done: size === 1 && i === cells - 1 && "map" });
    }
  };
}

let worker = null, ticket = 0, asked = {}, done = {};
const map = { low: 1e-3, high: 10, cells: new Map(), at: [12, 12], distances: [] };

// The histogram has no seed of its own, and the map no rates: only what a change of the settings concerns is computed.
function populate() {
  const wanted = {
    histogram: JSON.stringify({ ...S, seed: 0, linked: true, epochs: counted(S).epochs }),
    map: JSON.stringify({ ...S, rateG: 0, rateD: 0, linked: true, epochs: 0 }),
  };
  const changed = Object.keys(wanted).filter(part => wanted[part] !== asked[part]);
  if (changed.includes("map")) map.cells.clear();
  if (changed.includes("histogram")) map.distances = [];
  for (const part of changed) done[part] = false;
  asked = wanted;
  drawHistogram(); drawMap();
  if (!changed.length) return;
  if (!worker) {
    const text = `"use strict";${engine.toString()};(${work.toString()})();`;
    worker = new Worker(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
    worker.postMessage({ data });
    worker.onmessage = event => {
      if (event.data.ticket !== ticket) return;
      if (event.data.done) done[event.data.done] = true;
      if (event.data.distances) { map.distances = event.data.distances; drawHistogram(); }
      else { for (const [i, j, size, value] of event.data.row) map.cells.set(`${i},${j}`, [i, j, size, value]); drawMap(); }
    };
  }
  const todo = Object.keys(wanted).filter(part => !done[part]);
  worker.postMessage({ s: S, ticket: ++ticket, todo, count: counted(S), cells: CELLS, low: map.low, high: map.high });
}

function drawHistogram() {
  const distances = map.distances, bins = 40, low = Math.log10(1e-4), high = Math.log10(3), counts = new Array(bins).fill(0), finite = distances.filter(Number.isFinite);
  for (const d of finite) counts[Math.max(0, Math.min(bins - 1, Math.floor((Math.log10(d) - low) / (high - low) * bins)))]++;
  const p = plane("histogram", [low, high], [0, Math.max(10, ...counts)], { ticks: false });
  counts.forEach((count, k) => {
    const x = low + k / bins * (high - low), x2 = low + (k + 1) / bins * (high - low);
    p.c.fillStyle = color("g");
    p.c.fillRect(p.X(x), p.Y(count), p.X(x2) - p.X(x) - 1, p.Y(0) - p.Y(count));
  });
  p.end();
  p.c.fillStyle = color("quiet"); p.c.textAlign = "center";
  for (const d of [1e-4, 1e-3, 1e-2, 0.1, 1]) p.c.fillText(String(d), Math.max(p.left + 14, p.X(Math.log10(d))), p.h + 24);
  const sorted = [...distances].sort((a, b) => a - b);
  if (!sorted.length) { $("population_says").textContent = ""; return; }
  $("population").querySelector("figcaption").textContent = say("histogram", { ...counted(S), n: distances.length });
  $("population_says").textContent = say("population_says", { median: number(sorted[Math.floor(sorted.length / 2)]), diverged: distances.length - finite.length, n: distances.length });
}

function drawMap() {
  const p = plane("map", [0, CELLS], [0, CELLS], { ticks: false });
  for (const [i, j, size, value] of [...map.cells.values()].sort((a, b) => b[2] - a[2])) {
    const share = Math.min(1, Math.max(0, (Math.log10(value) + 3) / 3.3));
    p.c.fillStyle = Number.isFinite(value) ? `hsl(${200 - 30 * share} ${55 - 25 * share}% ${15 + 75 * share}%)` : color("minus");
    p.c.fillRect(p.X(j), p.Y(i + size), p.X(j + size) - p.X(j) + 0.5, p.Y(i) - p.Y(i + size) + 0.5);
  }
  const cell = rate => Math.log(rate / map.low) / Math.log(map.high / map.low) * (CELLS - 1) + 0.5;
  p.dot(cell(S.rateG), cell(S.rateD), "other", 5);
  p.c.strokeStyle = color("text"); p.c.lineWidth = 2;
  p.c.strokeRect(p.X(map.at[1]), p.Y(map.at[0] + 1), p.w / CELLS, p.h / CELLS);
  p.end();
  p.c.fillStyle = color("quiet"); p.c.textAlign = "left"; p.c.fillText(String(map.low), p.left, p.h + 24);
  p.c.textAlign = "right"; p.c.fillText(String(map.high), p.left + p.w, p.h + 24); p.c.fillText(String(map.low), p.left - 4, p.h + 8); p.c.fillText(String(map.high), p.left - 4, 18);
  marks.map = p;
  const [i, j] = map.at, reached = map.cells.get(`${i},${j}`);
  $("map").setAttribute("aria-label", `${say("map", counted(S))} ${say("rateG")} ${number(rateOf(j))}, ${say("rateD")} ${number(rateOf(i))}${reached ? `: ${number(reached[3])}` : ""}`);
}

const rateOf = k => Number((map.low * (map.high / map.low) ** (k / (CELLS - 1))).toPrecision(3));

function chooseCell() {
  S = { ...S, rateG: rateOf(map.at[1]), rateD: rateOf(map.at[0]), linked: map.at[0] === map.at[1] };
  at = S.epochs * E.FACES;
  notes = [];
  buildControls();
  train();
}

// ---- Lines and numbers to take away

function pythonLines() {
  const way = data.ways[S.way], n = v => String(Number(v.toPrecision(7)));
  const put = text => text.replace(/\{(\w)\}/g, (_, k) => ({ r: "RATE", s: n(S.strength), g: n(S.rateG), d: n(S.rateD), m: n(S.momentum), o: "optimizers" })[k]);
  const kind = way.text.split(".")[0].split("(")[0], sgd = `optax.sgd(RATE, momentum=${n(S.momentum)})`;
  const one = rate => (kind === "optax" ? put(way.text) : sgd).replaceAll("RATE", n(rate));
  const forD = way.text.startsWith("penalties.clipped") ? put(way.text) : one(S.rateD);
  const order = { tutorial: "rules.tutorial", simultaneous: "rules.simultaneous", alternating: "rules.alternating" }[S.order];
  const options = [`objective=${S.objective === "smoothed" ? "losses.smoothed(losses.non_saturating, 0.1)" : `losses.OBJECTIVES["${S.objective}"]`}`, ...(way.of_game ? [put(way.text)] : [])];
  const penalty = S.penalty === "none" ? "" : `penalties.${S.penalty === "R1" ? "r1" : "wgan_gp"}(${n(S.penaltyStrength)})`;
  const field = kind === "fields" ? `, ${put(way.text)}` : "", plain = `${order}(optimizers${field})`;
  const rule = way.text.startsWith("rules.past") ? put(way.text) : way.text.startsWith("rules.lookahead") ? put(way.text).replace("{rule}", plain) : plain;
  const article = S.seed === "article";
  return [
    "import jax", "import optax", article ? "import jax.numpy as jnp" : "",
    "from slantgan_jax import Players, fields, games, losses, networks, penalties, rules, slanted_land, train",
    article ? "from article_stream import article_players, article_stream  # in experiments/\nfrom slantgan_jax import distributions\nfrom slantgan_jax.numerics import as_floats\n" : "",
    article ? `stream = article_stream(42, ${Math.max(5000, at)})\nlatents = jnp.asarray(stream.latents, jnp.float32)[jnp.arange(${Math.max(5000, at)}) % 5000]\noptions = {"latent": distributions.sequence(latents)}` : "options = {}",
    `game = slanted_land(${options.join(", ")}, **options)`,
    penalty ? `game = games.penalized(game, ${penalty})` : "",
    `optimizers = Players(${one(S.rateG)}, ${forD})`,
    `rule = ${rule}`,
    at > 0 ? `run = jax.jit(lambda key, players: train(key, game, rule, ${at}, players=players))` : "",
    article ? "start = as_floats(article_players(stream))" : `start = game.init(jax.random.split(jax.random.key(${S.seed}))[0])`,
    `key = jax.random.key(${article ? 0 : S.seed})`,
    at > 0 ? "state = run(key, start).state" : "state = rule.init(start)",
    moves ? `sample = rule.sample(game, jax.random.split(key)[1], state.step)  # of the next step\nfor move in rule.moves(game)[:${moves}]:\n    state = move(state, sample)` : "",
    "players = state.players",
    "print(networks.to_vector(players))  # w, b, u, c",
  ].filter(Boolean).join("\n");
}

function numbers() {
  const run = shownRun(), p = run.players(), m = run.measured();
  return JSON.stringify({
    generator: { weights: p.slice(0, 4), biases: p.slice(4, 8) }, discriminator: { weights: p.slice(8, 12), bias: p[12] },
    generator_loss: m[0], discriminator_loss: m[1], mean_gap: m[2], finite: run.finite(),
    settings: { ...S, step: at, moves, source: "page", precision: "float32", address: location.href.split("#")[0].split("/").at(-1) + address() },
  }, null, 1);
}

// ---- Time

function go(step) { at = Math.max(0, Math.min(now.steps, step)); moves = 0; drawTime(); }
function oneMove() {
  if (at >= now.steps) return;
  moves++;
  if (moves === now.run.about.moves) go(at + 1); else drawTime();
  remember();
}
function play() {
  if (timer) { clearInterval(timer); timer = null; $("play").textContent = say("play"); remember(); return; }
  if (at >= now.steps) go(0);
  $("play").textContent = say("pause");
  timer = setInterval(() => {
    if (at >= now.steps) return play();
    go(at + ($("slow").checked ? 1 : Math.max(1, Math.round(now.steps / (calm ? 20 : 400)))));
  }, $("slow").checked || calm ? 500 : 33);
}

// ---- Words

// Where a setting of the second run starts: another value than that of the first run.
function otherValue(name) {
  const usual = { way: ["extragradient"], penalty: ["R1"], order: ["simultaneous"], objective: ["Wasserstein"], seed: [1, 2], momentum: [-0.5, 0] }[name] || [S[name] * 10, S[name] / 10];
  const values = [...usual, ...(BY_NAME[name].kind === "choice" ? choices(name) : [])].map(String);
  return values.find(value => checked(BY_NAME[name], value) !== undefined && value !== String(S[name]));
}

function buildOther() {
  const box = $("other"), what = document.createElement("label"), names = document.createElement("select");
  names.id = "change";
  names.append(new Option(say("two_none"), "none"));
  for (const name of others(S)) names.append(new Option(label(name), name));
  names.value = other.name;
  names.onchange = () => {
    const name = names.value, value = name === "none" ? undefined : otherValue(name);
    other = value === undefined ? ALONE : { name, value };
    buildOther(); retrain(); $("change").focus();
  };
  what.append(say("two_what"), " ", names);
  box.replaceChildren(what);
  if (other.name !== "none") {
    box.append(control(BY_NAME[other.name], checkedFor(other), value => { other.value = String(value); retrain(); }, "to"));
  }
}

function sayWords() {
  const [g, d] = data.undecided[S.objective].map(level => level === null ? say("any_level") : number(level)), noise = S.way === "instance noise", period = data.about[`faces: ${S.way}, ${S.order}`].period;
  const values = {
    ...counted(S), g, d, period, without: noise && S.penalty !== "none" ? say("without_both") : noise ? say("without_noise") : S.penalty !== "none" ? say("without_penalty") : "",
    steps: period > 1 ? say("steps", { period }) : say("a_step"),
  };
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = say(node.dataset.t, values);
  $("play").textContent = say(timer ? "pause" : "play");
}

function words() {
  document.documentElement.lang = language;
  document.title = say("title");
  document.querySelector("aside").setAttribute("aria-label", say("settings"));
  $("language").textContent = say("language");
  $("language").lang = language === "en" ? "zh" : "en";
  $("questions").replaceChildren(...TEXTS[language].questions.map(([question, answer]) => {
    const box = document.createElement("details"), head = document.createElement("summary"), text = document.createElement("p");
    head.textContent = question; text.textContent = answer;
    box.append(head, text);
    return box;
  }));
  buildControls(); buildOther();
}

const keepStart = [];
function wire() {
  $("language").onclick = () => { language = language === "en" ? "zh" : "en"; words(); train(moves); };
  $("reset").onclick = () => { location.hash = `language=${language}`; };
  $("link").onclick = async () => { remember(); let copied = true; try { await navigator.clipboard.writeText(location.href); } catch { copied = false; } $("status").textContent = copied ? say("copied") : location.href; };
  $("python").onclick = () => { $("lines").hidden = !$("lines").hidden; $("lines").textContent = pythonLines(); };
  $("json").onclick = () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([numbers()], { type: "application/json" }));
    link.download = "run.json";
    link.click();
  };
  $("controls").onsubmit = event => event.preventDefault();
  for (const canvas of document.querySelectorAll("figure > canvas:not(#map)")) {
    const named = canvas.parentElement.querySelector("figcaption") || document.querySelector("#plane h2");
    named.id = `${canvas.id}-name`;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-labelledby", named.id);
  }
  $("play").onclick = play;
  $("slow").onchange = () => { if (timer) { play(); play(); } };
  $("next").onclick = oneMove;
  $("first").onclick = () => { go(0); remember(); };
  $("last").onclick = () => { go(now.steps); remember(); };
  $("step").oninput = () => go(Number($("step").value));
  $("step").onchange = remember;
  $("latent").oninput = () => { z = Number($("latent").value); drawTime(); };
  $("latent").onchange = remember;
  $("game").onchange = () => { game = $("game").value; drawField(); remember(); };
  ["start_x", "start_y"].forEach((id, k) => {
    keepStart[k] = typed($(id), () => say(id), from[k], v => v, text => Math.abs(numeric(text)) <= FAR ? Number(text) : undefined, v => { from[k] = v; sayStatus(); drawField(); remember(); });
  });
  $("field").onclick = event => {
    from = [marks.field.x(event.offsetX), marks.field.y(event.offsetY)].map(v => Number(Math.max(-FAR, Math.min(FAR, v)).toFixed(2)));
    keepStart.forEach((keep, k) => keep(from[k]));
    drawField(); remember();
  };
  $("map").onclick = event => {
    const cell = v => Math.max(0, Math.min(CELLS - 1, Math.floor(v)));
    map.at = [cell(marks.map.y(event.offsetY)), cell(marks.map.x(event.offsetX))];
    chooseCell();
  };
  $("map").onkeydown = event => {
    const way = { ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (way) { map.at = map.at.map((v, k) => Math.max(0, Math.min(CELLS - 1, v + way[k]))); drawMap(); event.preventDefault(); }
    if (event.key === "Enter") chooseCell();
  };
  addEventListener("hashchange", load);
  const again = () => { drawAll(); drawSpectrum(); drawField(); drawMap(); drawHistogram(); };
  addEventListener("resize", again);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
}

function load() {
  fromAddress();
  $("game").value = game;
  keepStart.forEach((keep, k) => keep(from[k]));
  words();
  train(moves);
}

(async () => {
  if (typeof DecompressionStream === "undefined") { $("status").textContent = TEXTS.en.old; return; }
  data = await unpacked(PROGRAMS);
  E = engine(data);
  if (innerWidth <= 800) $("panel").open = false;
  wire();
  load();
  window.ready = true;
})();
