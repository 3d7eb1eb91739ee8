// Training on a folder of images: look at it, read what was found, train for some minutes, stop.

import { attempt, element, get, say, send, upload } from "./talk.js";

const at = id => document.getElementById(id);
const ENDS = ["finished", "stopped", "failed"];
const known = new Map(); // number of a training -> what is shown of it

at("look").addEventListener("submit", event => {
  event.preventDefault();
  attempt(event.submitter, "", async () => {
    const name = at("name").value, size = +at("size").value, files = [...at("files").files];
    const wanted = { change: "look", name, size, folder: at("folder").value.trim() };
    if (!wanted.folder && files.length) {
      const images = `${name}-${Date.now().toString(36)}`;
      for (const [i, file] of files.entries()) {
        say(`Uploading ${i + 1} of ${files.length}.`);
        await upload(images, file);
      }
      wanted.upload = images;
    }
    show(await (await send("/api/trainings", wanted)).json());
  });
});

export async function pollTrainings() {
  show(await get("/api/trainings"));
}

function show(trainings) {
  at("trainings").replaceChildren(...trainings.map(training => {
    const state = JSON.stringify([training.state, training.findings]);
    const old = known.get(training.number);
    const item = old && old.state === state ? old.item : makeItem(training);
    known.set(training.number, { state, item });
    item.querySelector(".said").textContent = training.said; // the rest stays, so that nothing loses its focus
    return item;
  }));
}

function makeItem(training) {
  const item = element("li", { className: "box" },
    element("h3", { textContent: `${training.run}: ${training.state}` }),
    element("p", { className: "pale", textContent: `${training.folder} at ${training.size} pixels` }),
    element("p", { className: training.state === "failed" ? "said failed" : "said" }));
  const change = async (button, values) => attempt(button, "", async () => {
    show(await (await send("/api/trainings", { number: training.number, ...values })).json());
  });
  if (training.head) {
    const list = element("dl", {}, element("dt", { textContent: training.head }));
    for (const [text, command] of training.findings) {
      list.append(element("dt", { textContent: text }), element("dd", {}, element("code", { textContent: command })));
    }
    item.append(list);
  }
  if (training.state === "ready") {
    const minutes = element("input", { type: "number", min: 0.1, step: "any", value: 30 });
    const form = element("form", { className: "fields" }, element("label", {}, "Minutes ", minutes),
      element("button", { textContent: "Train" }));
    form.addEventListener("submit", event => {
      event.preventDefault();
      change(event.submitter, { change: "start", minutes: +minutes.value });
    });
    item.append(form);
  } else if (!ENDS.includes(training.state)) {
    const button = element("button", { type: "button", textContent: "Stop" });
    button.addEventListener("click", () => change(button, { change: "stop" }));
    item.append(button);
  }
  return item;
}
