// Requests to the studio: what it answers, or an error with its one line.

async function checked(answer) {
  if (!answer.ok) throw new Error((await answer.text()).trim() || `status ${answer.status}`);
  return answer;
}

export async function get(path, values = {}) {
  return (await checked(await fetch(`${path}?${new URLSearchParams(values)}`))).json();
}

export async function send(path, values) {
  const body = JSON.stringify(values);
  return checked(await fetch(path, { method: "POST", body, headers: { "content-type": "application/json" } }));
}

export async function upload(name, file) {
  const values = new URLSearchParams({ upload: name, file: file.webkitRelativePath || file.name });
  await checked(await fetch(`/api/upload?${values}`, { method: "PUT", body: file }));
}

const said = document.getElementById("said");

export function say(text, wrong = false) {
  said.textContent = text;
  said.classList.toggle("wrong", wrong);
}

// Do something that a person asked for: the button is off meanwhile, and an error is said in its line.
export async function attempt(button, text, work) {
  if (button) button.disabled = true;
  say(text);
  try {
    say((await work()) || "");
  } catch (error) {
    say(error.message, true);
  } finally {
    if (button) button.disabled = false;
  }
}

export function element(tag, values = {}, ...children) {
  const made = Object.assign(document.createElement(tag), values);
  made.append(...children);
  return made;
}
