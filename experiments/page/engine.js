"use strict";
// Runs of the printed programs. This function has no DOM: the page calls it, a worker gets its text, and tests run it in
// Node. A run is an array of numbers: the leaves of the rule's state, those of a sample, then the numbers one chooses.
function engine(data) {
  const FACES = data.faces.length, KEPT = 100, LIMIT = 1e4;
  const kits = new Map();

  // The programs of a place (faces, dirac, bilinear), compiled together, so that the compiler can join them. With
  // `exact` they compute in double precision, for derivatives by differences.
  function kit(place, s, exact = false) {
    const name = `${place}: ${s.way}, ${s.order}`, key = `${name}; ${s.objective}; ${exact}`;
    if (!kits.has(key)) {
      const about = data.about[name];
      const prelude = exact ? data.prelude.replace("f=Math.fround", "f=x=>x") : data.prelude;
      const moves = Array.from({ length: about.moves }, (_, k) => `m${k}`).join();
      const common = place === "faces" ? data.code.common + (data.code[`common of ${s.way}`] ?? "") : "";
      const names = place === "faces" ? "start,shown,judged,measured,distance,resting,tangents," : "";
      const text = `${prelude}\n${data.objectives[s.objective]}\n${common}\n${data.code[name]}\nreturn {${names}init,draw,moves:[${moves}]}`;
      kits.set(key, { ...new Function(text)(), about });
      if (kits.size > 40) kits.delete(kits.keys().next().value);
    }
    return kits.get(key);
  }

  const chosen = s => [s.rateG, s.rateD, s.momentum, s.penalty === "R1" ? s.penaltyStrength : 0,
    s.penalty === "WGAN-GP" ? s.penaltyStrength : 0, s.strength].map(Math.fround);

  // A run from the beginning: `x` has its numbers, `step` the steps that it has made.
  class Run {
    constructor(s, place = "faces", players = null) {
      this.s = s;
      this.kit = kit(place, s);
      this.about = this.kit.about;
      this.numbers = chosen(s);
      this.article = place === "faces" && s.seed === "article";
      this.words = [0, 0];
      if (!players) {
        const made = [];
        this.kit.start([this.article ? 0 : s.seed], made);
        players = this.article ? data.article.players.map(Math.fround) : made.slice(0, 13);
        this.words = made.slice(13);
      }
      const { state, sample } = this.about, first = [];
      this.kit.init([...players, ...this.numbers], first);
      this.x = new Float64Array(state + sample + this.numbers.length);
      this.x.set(first);
      this.x.set(this.numbers, state + sample);
      this.drawn = [];
      this.order = [0, 0, 0, ...this.numbers];
      this.step = 0;
      this.within = false;
      this.kept = [this.x.slice(0, state)];
    }

    // Puts the sample of the next step in its place.
    draw() {
      const { state, places } = this.about;
      this.order[0] = this.words[0]; this.order[1] = this.words[1]; this.order[2] = this.step;
      this.kit.draw(this.order, this.drawn);
      for (let k = 0; k < this.drawn.length; k++) this.x[state + k] = this.drawn[k];
      if (this.article) this.x[state + places.latent] = Math.fround(data.article.latents[this.step % data.article.latents.length]);
    }

    // One move alone. The run is then within a step, until it is sent to another.
    move(k) { this.kit.moves[k](this.x, this.x); this.within = true; }

    // What every rule does at the end of a step: it counts it.
    count() {
      this.step++;
      this.x[this.about.step] = this.step;
      if (this.step % KEPT === 0 && this.kept.length === this.step / KEPT) this.kept.push(this.x.slice(0, this.about.state));
    }

    advance(until) {
      const moves = this.kit.moves, x = this.x;
      while (this.step < until) {
        this.draw();
        for (let k = 0; k < moves.length; k++) moves[k](x, x);
        this.count();
      }
      return this;
    }

    // Goes to a step, back too: exactly, from the nearest state that was kept.
    to(step) {
      const near = Math.min(Math.floor(step / KEPT), this.kept.length - 1);
      if (step < this.step || near * KEPT > this.step || this.within) {
        this.within = false;
        this.x.set(this.kept[near]);
        this.step = near * KEPT;
      }
      return this.advance(step);
    }

    players() { return Array.from(this.x.slice(0, this.about.players)); }
    finite() { return this.players().every(v => Math.abs(v) <= LIMIT); }
    distance() { const o = []; this.kit.distance(this.players(), o); return o[0]; }
    measured() { const o = []; this.kit.measured(this.players(), o); return o; }
    shown(latent) { const o = []; this.kit.shown([...this.players(), latent], o); return o; }
    judged(image) { const o = []; this.kit.judged([...this.players(), ...image], o); return o[0]; }
    sample(name) { return this.x[this.about.state + this.about.places[name]]; }
  }

  // A run to its end, with what is measured: all of it at about `points` epochs, and of all epochs that of least distance.
  function trained(s, points = 300) {
    const run = new Run(s), every = Math.max(1, Math.ceil(s.epochs / points)), history = { epochs: [], values: [] };
    let diverged = null, least = { distance: Infinity, epoch: 0 };
    for (let epoch = 0; epoch <= s.epochs; epoch++) {
      run.advance(epoch * FACES);
      if (!run.finite()) {
        for (run.to(Math.max(0, epoch - 1) * FACES); run.finite();) run.advance(run.step + 1);
        diverged = Math.ceil(run.step / FACES);
        break;
      }
      const distance = run.distance();
      if (distance < least.distance) least = { distance, epoch };
      if (epoch % every !== 0 && epoch !== s.epochs) continue;
      history.epochs.push(epoch);
      history.values.push(run.measured());
    }
    return { run, history, least, diverged, steps: run.step };
  }

  // The eigenvalues of a period of the rule's steps at its place of rest, largest first; or, in `why`, why there are none.
  // As in the library's exact analysis, each move is taken in the mean over faces, latents and noise. Noise of n numbers
  // takes the 2 n values ±√n e_k, whose mean is that of every polynomial of degree 3. All is in double precision.
  function spectrum(s, players) {
    if (!data.ways[s.way].smooth || s.penalty === "WGAN-GP") return { why: "no_derivative" };  // the latter has ‖u‖, and u is 0 there
    const { init, resting, tangents, draw, moves, about } = kit("faces", s, true), { state, sample, places, period } = about;
    const numbers = chosen(s), rest = [], first = [], drawn = [], along = [];
    resting(players, rest);
    if (!rest.every(Number.isFinite)) return { why: "no_fixed_point" };
    tangents(players, along);
    init([...rest, ...numbers], first);
    draw([0, 0, 0, ...numbers], drawn);
    const floats = first.map((_, k) => k).filter(k => k !== about.step && !about.counts.includes(k)), n = floats.length;
    const noises = Object.keys(places).filter(name => name.includes("_noise")).map(name => places[name]);
    const signs = noises.length ? noises.flatMap(k => [[k, 1], [k, -1]]) : [[0, 0]], samples = [];
    for (const face of data.faces) data.nodes.forEach((latent, node) => {
      for (const [axis, sign] of signs) {
        const values = Float64Array.from(drawn);
        values[places.latent] = latent;
        face.forEach((value, k) => { values[places[`real[${k}]`]] = value; });
        for (const k of noises) values[k] = k === axis ? sign * Math.sqrt(noises.length) : 0;
        samples.push([data.weights[node] / FACES / signs.length, values]);
      }
    });
    const x = new Float64Array(state + sample + numbers.length);
    x.set(numbers, state + sample);

    // A period of steps from a state: after each move the state is its mean, but for counts, on which no sample acts.
    function after(from) {
      let now = Float64Array.from(from);
      for (let phase = 0; phase < period; phase++) {
        now[about.step] = phase;
        for (const move of moves) {
          const mean = new Float64Array(state);
          for (const [weight, values] of samples) {
            x.set(now); x.set(values, state);
            move(x, x);
            for (const k of floats) mean[k] += weight * x[k];
          }
          for (const k of about.counts) mean[k] = x[k];
          now = mean;
        }
      }
      return now;
    }

    function jacobian(from, h = 1e-3) {
      const matrix = Array.from({ length: n }, () => new Float64Array(n));
      floats.forEach((place, j) => {
        for (const [steps, weight] of [[-2, 1 / 12], [-1, -2 / 3], [1, 2 / 3], [2, -1 / 12]]) {
          const near = Float64Array.from(from);
          near[place] += steps * h;
          const moved = after(near);
          floats.forEach((k, i) => { matrix[i][j] += weight * moved[k] / h; });
        }
      });
      return matrix;
    }

    // Newton's method finds the place that a period moves only along the surface of equilibria, by `drift`, and that
    // lies beside `rest` across the surface, along which the eigenvalues are 1. What else than players a state has is
    // first as it is after a period.
    const place = after(first);
    place.set(rest);
    const surface = Array.from({ length: data.free_logit.includes(s.objective) ? 5 : 4 }, (_, k) => along.slice(13 * k, 13 * k + 13));
    for (let tries = 0; tries < 15; tries++) {
      const matrix = jacobian(place), moved = after(place), size = Math.max(...matrix.flatMap((row, i) => Array.from(row, (v, j) => Math.abs(v - (i === j)))));
      const rows = floats.map((k, i) => [...Array.from(matrix[i], (v, j) => v - (i === j)), ...surface.map(t => size * (t[k] ?? 0)), place[k] - moved[k]]);
      for (const t of surface) rows.push([...floats.map(k => size * (t[k] ?? 0)), ...surface.map(() => 0), 0]);
      const step = solved(rows), length = Math.hypot(...step.slice(0, n));
      const across = Math.hypot(...matrix.map((row, i) => row.reduce((sum, v, j) => sum + v * step[j], -step[i])));
      if (across < 1e-12 || (tries === 14 && across < 1e-9)) {
        const drift = Math.hypot(...floats.map(k => moved[k] - place[k]));
        const values = eigenvalues(matrix).sort((a, b) => Math.hypot(a[0] - 1, a[1]) - Math.hypot(b[0] - 1, b[1]));
        values.fill([1, 0], 0, surface.length);
        return { values: values.sort((a, b) => Math.hypot(...b) - Math.hypot(...a)), period, drift };
      }
      floats.forEach((k, i) => { place[k] += step[i] * Math.min(1, 0.5 / length); });
    }
    return { why: "no_fixed_point" };
  }

  // The x of A x = b, from the rows of (A, b): Gauss's elimination.
  function solved(rows) {
    const n = rows.length;
    for (let k = 0; k < n; k++) {
      let p = k;
      for (let i = k; i < n; i++) if (Math.abs(rows[i][k]) > Math.abs(rows[p][k])) p = i;
      [rows[k], rows[p]] = [rows[p], rows[k]];
      for (let i = 0; i < n; i++) if (i !== k) {
        const factor = rows[i][k] / rows[k][k];
        for (let j = k; j <= n; j++) rows[i][j] -= factor * rows[k][j];
      }
    }
    return rows.map((row, k) => row[n] / row[k]);
  }

  const ROUNDING = 1e-10, still = size => Math.abs(size - 1) < ROUNDING;
  const grows = value => Math.hypot(...value) > 1 + ROUNDING;

  // The eigenvalue of the mode that grows most, of those that do not turn; undefined if none grows.
  const straight = ({ values = [] }) => values.find(value => grows(value) && Math.abs(value[1]) < 1e-9);

  // What the slowest turning mode does, of several the one that turns fastest: the steps of a turn and of a factor e,
  // which are negative if it grows, and infinite if it does neither.
  function forecast({ values = [], period = 1 }) {
    const least = 1e-7 * Math.max(...values.map(([re, im]) => Math.hypot(re - 1, im)));
    const turning = values.filter(([re, im]) => im > least && Math.hypot(re, im) > 0.5 ** period);
    const slowest = Math.max(...turning.map(value => Math.hypot(...value))) - ROUNDING;
    const found = turning.filter(value => Math.hypot(...value) >= slowest).map(([re, im]) => [Math.atan2(im, re), Math.hypot(re, im)]);
    if (!found.length) return null;
    const [angle, size] = found.reduce((a, b) => (b[0] > a[0] ? b : a));
    return { turn: 2 * Math.PI * period / angle, fold: still(size) ? Infinity : -period / Math.log(size), size };
  }

  // Eigenvalues of a real matrix: the QR algorithm on a complex Hessenberg matrix, with Wilkinson's shifts.
  function eigenvalues(matrix) {
    const n = matrix.length, re = matrix.map(r => Float64Array.from(r)), im = matrix.map(() => new Float64Array(n));
    for (let k = 0; k + 2 < n; k++) {
      let p = k + 1;
      for (let i = k + 2; i < n; i++) if (Math.abs(re[i][k]) > Math.abs(re[p][k])) p = i;
      if (re[p][k] === 0) continue;
      [re[p], re[k + 1]] = [re[k + 1], re[p]];
      for (let i = 0; i < n; i++) [re[i][p], re[i][k + 1]] = [re[i][k + 1], re[i][p]];
      for (let i = k + 2; i < n; i++) {
        const factor = re[i][k] / re[k + 1][k];
        if (factor === 0) continue;
        for (let j = 0; j < n; j++) re[i][j] -= factor * re[k + 1][j];
        for (let j = 0; j < n; j++) re[j][k + 1] += factor * re[j][i];
      }
    }
    const found = [];
    let high = n - 1, tries = 0;
    while (high >= 0) {
      let low = high;
      while (low > 0) {
        const scale = Math.hypot(re[low][low], im[low][low]) + Math.hypot(re[low - 1][low - 1], im[low - 1][low - 1]);
        if (Math.hypot(re[low][low - 1], im[low][low - 1]) <= 1e-15 * (scale || 1)) break;
        low--;
      }
      if (low === high || ++tries > 200) { found.push([re[high][high], im[high][high]]); high--; tries = 0; continue; }
      const [sr, si] = shift(re, im, high, tries);
      const turns = [];
      for (let k = low; k <= high; k++) { re[k][k] -= sr; im[k][k] -= si; }
      for (let k = low; k < high; k++) {
        const ar = re[k][k], ai = im[k][k], br = re[k + 1][k], bi = im[k + 1][k], r = Math.hypot(ar, ai, br, bi) || 1;
        const t = [ar / r, ai / r, br / r, bi / r];
        turns.push(t);
        for (let j = k; j <= high; j++) {
          const xr = re[k][j], xi = im[k][j], yr = re[k + 1][j], yi = im[k + 1][j];
          re[k][j] = t[0] * xr + t[1] * xi + t[2] * yr + t[3] * yi;
          im[k][j] = t[0] * xi - t[1] * xr + t[2] * yi - t[3] * yr;
          re[k + 1][j] = t[0] * yr - t[1] * yi - t[2] * xr + t[3] * xi;
          im[k + 1][j] = t[0] * yi + t[1] * yr - t[2] * xi - t[3] * xr;
        }
      }
      for (let k = low; k < high; k++) {
        const t = turns[k - low];
        for (let i = low; i <= Math.min(k + 2, high); i++) {
          const xr = re[i][k], xi = im[i][k], yr = re[i][k + 1], yi = im[i][k + 1];
          re[i][k] = xr * t[0] - xi * t[1] + yr * t[2] - yi * t[3];
          im[i][k] = xr * t[1] + xi * t[0] + yr * t[3] + yi * t[2];
          re[i][k + 1] = -xr * t[2] - xi * t[3] + yr * t[0] + yi * t[1];
          im[i][k + 1] = xr * t[3] - xi * t[2] - yr * t[1] + yi * t[0];
        }
      }
      for (let k = low; k <= high; k++) { re[k][k] += sr; im[k][k] += si; }
    }
    return found;
  }

  function shift(re, im, k, tries) {
    if (tries % 11 === 10) return [re[k][k] + Math.hypot(re[k][k - 1], im[k][k - 1]), im[k][k]];
    const ar = re[k - 1][k - 1], ai = im[k - 1][k - 1], dr = re[k][k], di = im[k][k];
    const br = re[k - 1][k], bi = im[k - 1][k], cr = re[k][k - 1], ci = im[k][k - 1];
    const hr = (ar - dr) / 2, hi = (ai - di) / 2;
    const qr = hr * hr - hi * hi + br * cr - bi * ci, qi = 2 * hr * hi + br * ci + bi * cr, q = Math.hypot(qr, qi);
    let wr = Math.sqrt(Math.max(0, (q + qr) / 2)), wi = Math.sqrt(Math.max(0, (q - qr) / 2)) * (qi < 0 ? -1 : 1);
    if (hr * wr + hi * wi > 0) { wr = -wr; wi = -wi; }
    return [dr + hr + wr, di + hi + wi];
  }

  return { Run, trained, spectrum, forecast, grows, straight, eigenvalues, kit, chosen, FACES, LIMIT, data };
}

// Opens what the page was given: compressed JSON in letters.
async function unpacked(letters) {
  const bytes = Uint8Array.from(atob(letters), c => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}
