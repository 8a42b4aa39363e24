"use strict";
// Browsers refuse workers to pages that are opened as files. Here such a worker runs in a hidden frame, so that the
// search works without a server.
if (location.protocol === "file:") window.Worker = class extends EventTarget {
  constructor(url) {
    super();
    const frame = document.createElement("iframe");
    frame.hidden = true;
    document.body.append(frame);
    const inside = frame.contentWindow;
    inside.answer = data => this.dispatchEvent(new MessageEvent("message", { data }));
    this.ready = new Promise(done => { inside.ready = done; });
    inside.document.open();
    inside.document.write(`<script>postMessage = answer; importScripts = (...all) => Promise.all(all.map(src => new Promise(done => {
      const script = document.createElement("script"); script.src = src; script.onload = done; document.body.append(script); })));
      <\/script><body><script src="${new URL(url, location)}" onload="ready()"><\/script></body>`);
    inside.document.close();
    this.inside = inside;
  }

  postMessage(data) { this.ready.then(() => this.inside.dispatchEvent(new MessageEvent("message", { data }))); }

  terminate() { this.inside.frameElement.remove(); }
};
