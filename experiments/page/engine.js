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
      const common = place === "faces" ? data.code.common : "";
      const names = place === "faces" ? "start,shown,judged,measured,resting," : "";
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
    measured() { const o = []; this.kit.measured(this.players(), o); return o; }
    shown(latent) { const o = []; this.kit.shown([...this.players(), latent], o); return o; }
    judged(image) { const o = []; this.kit.judged([...this.players(), ...image], o); return o[0]; }
    sample(name) { return this.x[this.about.state + this.about.places[name]]; }
  }

  // A run to its end, with what is measured at about `points` epochs.
  function trained(s, points = 300) {
    const run = new Run(s), steps = s.epochs * FACES, every = Math.max(1, Math.ceil(s.epochs / points));
    const history = { epochs: [], values: [] };
    let diverged = null;
    for (let epoch = 0; ; epoch = Math.min(epoch + every, s.epochs)) {
      run.advance(epoch * FACES);
      if (!run.finite()) {
        for (run.to((history.epochs.at(-1) ?? 0) * FACES); run.finite();) run.advance(run.step + 1);
        diverged = Math.ceil(run.step / FACES);
        break;
      }
      history.epochs.push(epoch);
      history.values.push(run.measured());
      if (epoch === s.epochs) break;
    }
    return { run, history, diverged, steps: diverged === null ? steps : run.step };
  }

  // The mean Jacobian of a period of the rule over faces, latents and noise, at the equilibrium with the run's weights of
  // G, by central differences in double precision; and its eigenvalues for one step. Null if a step has no derivative
  // there. Noise a of n numbers takes the 2 n values ±√n e_k, whose mean is that of every polynomial of degree 3.
  function spectrum(s, players) {
    if (!data.ways[s.way].smooth || s.penalty === "WGAN-GP") return null;  // the latter has ‖u‖, and u is 0 there
    const { init, resting, moves, draw, about } = kit("faces", s, true), numbers = chosen(s);
    const place = [], first = [];
    resting(players, place);
    if (!place.every(Number.isFinite)) return null;
    init([...place, ...numbers], first);
    const floats = first.map((_, k) => k).filter(k => k !== about.step && !about.counts.includes(k));
    const n = floats.length, { state, sample, places } = about, drawn = [];
    draw([0, 0, 0, ...numbers], drawn);
    const x = new Float64Array(state + sample + numbers.length), h = 1e-4;
    const noises = Object.keys(places).filter(name => name.includes("_noise")).map(name => state + places[name]);
    const signs = noises.length ? noises.flatMap((_, k) => [[k, 1], [k, -1]]) : [[0, 0]];
    let product = null;
    for (let phase = 0; phase < about.period; phase++) {
      const mean = Array.from({ length: n }, () => new Float64Array(n));
      for (let face = 0; face < FACES; face++) for (let node = 0; node < data.nodes.length; node++) for (const [axis, noise] of signs) {
        const weight = data.weights[node] / FACES / signs.length;
        for (let j = 0; j < n; j++) for (const sign of [1, -1]) {
          x.set(first); x.set(drawn, state); x.set(numbers, state + sample);
          x[about.step] = phase;
          x[state + places.latent] = data.nodes[node];
          for (let k = 0; k < 4; k++) x[state + places[`real[${k}]`]] = data.faces[face][k];
          for (let k = 0; k < noises.length; k++) x[noises[k]] = k === axis ? noise * Math.sqrt(noises.length) : 0;
          x[floats[j]] += sign * h;
          for (const move of moves) move(x, x);
          for (let i = 0; i < n; i++) mean[i][j] += sign * weight * x[floats[i]] / (2 * h);
        }
      }
      product = product ? times(mean, product) : mean;
    }
    const values = eigenvalues(product);
    const share = 1 / about.period;
    return values.map(([re, im]) => {
      const size = Math.hypot(re, im) ** share, angle = Math.atan2(im, re) * share;
      return [size * Math.cos(angle), size * Math.sin(angle)];
    }).sort((a, b) => Math.hypot(...b) - Math.hypot(...a));
  }

  const times = (a, b) => a.map(row => Float64Array.from(b[0], (_, j) => row.reduce((sum, v, k) => sum + v * b[k][j], 0)));

  // What a mode does: the steps of a turn and of a factor e (which is negative if it grows), of the slowest turning one.
  function forecast(values) {
    const turning = (values || []).filter(([re, im]) => im > 1e-9 && Math.hypot(re, im) > 0.5);
    if (!turning.length) return null;
    const [re, im] = turning[0];
    return { turn: 2 * Math.PI / Math.atan2(im, re), fold: -1 / Math.log(Math.hypot(re, im)), size: Math.hypot(re, im) };
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

  return { Run, trained, spectrum, forecast, eigenvalues, kit, chosen, FACES, LIMIT, data };
}

// Opens what the page was given: compressed JSON in letters.
async function unpacked(letters) {
  const bytes = Uint8Array.from(atob(letters), c => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}
