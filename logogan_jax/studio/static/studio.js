// The page: which part is shown, which run is selected, and its curves and pictures as they grow.

import { drawCharts } from "./charts.js";
import { clearExplore, openRun, showFavourites } from "./explore.js";
import { attempt, element, get, say } from "./talk.js";
import { pollTrainings } from "./train.js";

const at = id => document.getElementById(id);
const PARTS = ["run", "explore", "favourites", "train"];
const PERIOD = 2000; // milliseconds between two looks at the runs

let selected = null, part = "run";
let log = { after: 0, series: new Map(), samples: [] };
let following = true; // the newest pictures, until somebody moves the slider

function showPart(name) {
  part = name;
  for (const each of PARTS) at(each).hidden = each !== name;
  for (const button of document.querySelectorAll("nav button")) {
    if (button.dataset.part === name) button.setAttribute("aria-current", "page");
    else button.removeAttribute("aria-current");
  }
  if (name === "explore" && selected) openRun(selected);
  if (name === "favourites" && selected) showFavourites(selected);
}

function facts(run) {
  const step = run.steps ? `step ${run.step.toLocaleString()} of ${run.steps.toLocaleString()}` : `step ${run.step}`;
  const kid = run.kid == null ? "" : `, KID ${run.kid.toFixed(3)}`;
  return `${run.status}, ${step}${kid}`;
}

async function listRuns() {
  const runs = await get("/api/runs");
  at("no-runs").hidden = runs.length > 0;
  const buttons = new Map([...at("runs").querySelectorAll("button")].map(button => [button.dataset.run, button]));
  at("runs").replaceChildren(...runs.map(run => {
    const button = buttons.get(run.name) || element("button", { type: "button", onclick: () => attempt(null, "", () => select(run.name)) });
    button.dataset.run = run.name;
    button.replaceChildren(run.name, element("small", { textContent: facts(run) }));
    if (run.name === selected) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
    return element("li", {}, button);
  }));
  if (selected === null && runs.length) await select(runs[0].name);
}

async function select(name) {
  selected = name;
  log = { after: 0, series: new Map(), samples: [] };
  following = true;
  at("run-name").textContent = name;
  at("charts").replaceChildren();
  at("timeline").hidden = true;
  clearExplore();
  for (const button of at("runs").querySelectorAll("button")) {
    if (button.dataset.run === name) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
  await follow();
  showPart(part);
}

async function follow() {
  const run = selected;
  if (run === null) return;
  const found = await get("/api/log", { run, after: log.after });
  if (run !== selected) return; // another one was selected meanwhile
  if (found.again) log.series = new Map();
  log.after = found.next;
  for (const line of found.lines) {
    for (const [name, value] of Object.entries(line)) {
      if (name === "step" || typeof value !== "number") continue;
      if (!log.series.has(name)) log.series.set(name, []);
      log.series.get(name).push([line.step, value]);
    }
  }
  at("run-facts").textContent = `${facts(found)}; ${found.objective} at ${found.size} pixels`;
  at("run-links").hidden = !found.has_report;
  at("run-report").href = `/report?${new URLSearchParams({ run })}`;
  if (found.lines.length || found.again) drawCharts(at("charts"), log.series);
  if (found.samples.length !== log.samples.length) {
    log.samples = found.samples;
    const slider = at("sample-step");
    slider.max = Math.max(0, log.samples.length - 1);
    if (following) slider.value = slider.max;
    showSample();
  }
}

function showSample() {
  const step = log.samples[+at("sample-step").value];
  at("timeline").hidden = step === undefined;
  if (step === undefined) return;
  at("sample-number").textContent = step.toLocaleString();
  at("sample-step").setAttribute("aria-valuetext", `step ${step}`);
  at("sample").src = `/api/sample?${new URLSearchParams({ run: selected, step })}`;
  at("sample").alt = `Pictures of ${selected} at step ${step}`;
}

at("sample-step").addEventListener("input", event => {
  following = event.target.value === event.target.max;
  showSample();
});
for (const button of document.querySelectorAll("nav button")) {
  button.addEventListener("click", () => showPart(button.dataset.part));
}

let lost = false;

async function poll() {
  try {
    await listRuns();
    await follow();
    await pollTrainings();
    if (lost) say("");
    lost = false;
  } catch (error) {
    lost = true;
    say(error instanceof TypeError ? "The studio does not answer: is it still running?" : error.message, true);
  }
  setTimeout(poll, PERIOD);
}

poll();
