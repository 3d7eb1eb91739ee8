// Pictures of the selected run: a seed's sheet, one picture with sliders, downloads, and favourites.

import { attempt, element, get, send } from "./talk.js";

const at = id => document.getElementById(id);
const SHEET = 24; // pictures of a seed
const REACH = 4; // how far a slider moves, in units of the latent space
const PAUSE = 120; // milliseconds after the last move of a slider

let run = null, about = null, chosen = null, moves = [], timer = 0, newest = 0;

export function clearExplore() {
  run = about = chosen = null;
  at("sheet").replaceChildren();
  at("one").hidden = true;
  at("kept").replaceChildren();
  at("animation").hidden = at("animation-file").hidden = true;
}

export async function openRun(name) {
  if (about && run === name) return;
  await attempt(null, `Opening ${name}. The first time takes some seconds.`, async () => {
    const found = await (await send("/api/open", { run: name, step: "best" })).json();
    [run, about] = [name, found];
    at("label-field").hidden = !about.labels.length;
    at("label").replaceChildren(element("option", { value: "", textContent: "any" }),
      ...about.labels.map(label => element("option", { value: label, textContent: label })));
    at("truncation-field").hidden = !about.truncates;
    at("explore-title").textContent = `Explore ${name} at step ${about.step.toLocaleString()}`;
    await drawSheet();
  });
}

function wish(pictures, scale = 1) {
  return { run, step: String(about.step), pictures, scale, label: at("label").value || null,
    truncation: about.truncates ? +at("truncation").value : 1, transparent: at("transparent").checked };
}

// Small pictures are drawn larger, so that marks are sharp on the screen.
const shown = () => Math.max(1, Math.min(8, Math.round(280 / Math.max(...about.size))));

async function drawSheet() {
  const names = Array.from({ length: SHEET }, (_, i) => `${at("seed").value}:${i}`);
  const pictures = await (await send("/api/draw", wish(names.map(picture => ({ picture })), 3))).json();
  at("sheet").classList.toggle("ground", at("transparent").checked);
  at("sheet").replaceChildren(...pictures.map((src, i) => {
    const button = element("button", { type: "button", onclick: () => choose(names[i], button) },
      element("img", { src, alt: `Picture ${names[i]}` }));
    button.setAttribute("aria-pressed", String(names[i] === chosen));
    return button;
  }));
}

function choose(name, button) {
  for (const other of at("sheet").children) other.setAttribute("aria-pressed", "false");
  button.setAttribute("aria-pressed", "true");
  chosen = name;
  moves = about.sliders.map(() => 0);
  makeSliders();
  at("nearest").replaceChildren();
  at("one").hidden = false;
  attempt(null, "", drawOne);
  at("one").scrollIntoView({ block: "nearest" });
}

function makeSliders() {
  const forms = about.sliders.length - about.inks;
  at("sliders").replaceChildren(...about.sliders.map((share, i) => {
    const value = element("output", { textContent: moves[i] });
    const slider = element("input", { type: "range", min: -REACH, max: REACH, step: 0.1, value: moves[i] });
    slider.addEventListener("input", () => {
      moves[i] = +slider.value;
      value.textContent = slider.value;
      clearTimeout(timer);
      timer = setTimeout(() => attempt(null, "", drawOne), PAUSE);
    });
    const name = i < forms ? `Direction ${i + 1} (${(100 * share).toFixed(0)} %)` : "Ink";
    return element("label", {}, name, slider, value);
  }));
}

async function drawOne() {
  const mine = ++newest;
  const [src] = await (await send("/api/draw", wish([{ picture: chosen, moves }], shown()))).json();
  if (mine !== newest) return; // a slider was moved meanwhile
  at("picture").src = src;
  at("picture").alt = `Picture ${chosen}${moves.some(Boolean) ? ", moved" : ""}`;
  at("picture").classList.toggle("ground", at("transparent").checked);
  at("picture-name").textContent = `Picture ${chosen} of ${run}${moves.some(Boolean) ? ", moved" : ""}`;
}

function save(blob, name) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

at("wish").addEventListener("submit", event => {
  event.preventDefault();
  if (about) attempt(event.submitter, "Drawing.", async () => { await drawSheet(); if (chosen) await drawOne(); });
});
at("transparent").addEventListener("change", () => { if (about) at("wish").requestSubmit(); });
at("reset").addEventListener("click", () => {
  moves = about.sliders.map(() => 0);
  makeSliders();
  attempt(null, "", drawOne);
});
for (const button of document.querySelectorAll("[data-format]")) {
  button.addEventListener("click", () => attempt(button, "Drawing the file.", async () => {
    const format = button.dataset.format;
    const wanted = { ...wish([{ picture: chosen, moves }], +at("scale").value), format };
    const name = `${run.split("/").at(-1)}-${chosen.replace(":", "-")}.${format}`;
    save(await (await send("/api/download", wanted)).blob(), name);
    return `${name} is downloaded.`;
  }));
}
at("compare").addEventListener("click", event => attempt(event.target, "Looking through the training images.", async () => {
  const [found] = await (await send("/api/nearest", wish([{ picture: chosen, moves }]))).json();
  const verdict = found.copied ? "It counts as a copy." : "It does not count as a copy.";
  at("nearest").replaceChildren(element("figure", {}, element("img", { src: found.picture, alt: "" }),
    element("figcaption", {}, `Nearest training image: ${found.name}, distance ${found.distance}. ${verdict}`)));
}));
at("keep").addEventListener("click", event => attempt(event.target, "", async () => {
  const { label, truncation } = wish([]);
  const favourite = { run, step: String(about.step), picture: chosen, moves, label, truncation };
  await send("/api/favourites", { change: "add", favourite });
  return `Picture ${chosen} is a favourite.`;
}));

export async function showFavourites(name) {
  await openRun(name);
  if (!about) return;
  const mine = (await get("/api/favourites")).filter(one => one.run === name);
  at("favourites-title").textContent = `Favourites of ${name}`;
  await attempt(null, mine.length ? "Drawing the favourites." : "There is no favourite of this run yet.", async () => {
    const items = [];
    for (const one of mine) {
      const wanted = { ...one, pictures: [{ picture: one.picture, moves: one.moves }], scale: 3 };
      const [src] = await (await send("/api/draw", wanted)).json();
      items.push(element("li", {}, element("img", { src, alt: `Favourite ${one.picture}` }),
        element("label", {}, Object.assign(element("input", { type: "checkbox" }), { one }), ` ${one.picture}`),
        element("button", { type: "button", textContent: "Remove", onclick: async () => {
          await send("/api/favourites", { change: "remove", favourite: one });
          showFavourites(name);
        } })));
    }
    at("kept").replaceChildren(...items);
  });
}

at("animate").addEventListener("click", event => attempt(event.target, "Drawing the animation.", async () => {
  const boxes = [...at("kept").querySelectorAll("input:checked")].map(box => box.one);
  if (boxes.length < 2) throw new Error("Choose two favourites or more.");
  const pictures = boxes.map(one => ({ picture: one.picture, moves: one.moves }));
  const { step, label, truncation } = boxes[0];
  const blob = await (await send("/api/animate", { run, step, label, truncation, pictures, scale: 4 })).blob();
  const link = at("animation-file");
  link.href = at("animation").src = URL.createObjectURL(blob);
  link.download = `${run.split("/").at(-1)}-animation.webp`;
  at("animation").alt = `Animation between ${boxes.map(one => one.picture).join(", ")}`;
  at("animation").hidden = link.hidden = false;
}));
