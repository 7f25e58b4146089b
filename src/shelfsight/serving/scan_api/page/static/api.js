// Calls to this server: the key, and errors in its own words.

const KEY = "shelfsight-key";

/** What the server said instead of an answer; `message` is for people. */
export class Problem extends Error {}

/** GET, or POST where there is a body; gives the parsed answer. */
export async function ask(path, body) {
  const response = await send(path, body && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  return response.json();
}

/** A picture of this server as an address for an <img>, which cannot send a key by itself. */
export async function pictureAddress(path) {
  return URL.createObjectURL(await (await send(path)).blob());
}

export function hasKey() {
  return sessionStorage.getItem(KEY) !== null;
}

/** Ask for a key; an empty `why` leaves the explanation as it is. */
export function askForKey(why) {
  asked ??= openDialog(why).finally(() => { asked = undefined; });
  return asked;
}

export function forgetKey() {
  sessionStorage.removeItem(KEY);
}

let asked;

async function send(path, options = {}) {
  const key = sessionStorage.getItem(KEY);
  const headers = { ...options.headers, ...(key && { Authorization: `Bearer ${key}` }) };
  let response;
  try {
    response = await fetch(path, { ...options, headers, referrerPolicy: "no-referrer" });
  } catch {
    throw new Problem("The server does not answer. Does it still run?");
  }
  if (response.ok) return response;
  const detail = await explained(response);
  if (response.status !== 401) throw new Problem(detail);
  if (key === sessionStorage.getItem(KEY)) {
    forgetKey();
    await askForKey(key ? "That key is wrong, or was revoked." : "");
  }
  return send(path, options);
}

async function explained(response) {
  try {
    const { detail, title } = await response.json();
    return detail || title;
  } catch {
    return `The server answers ${response.status} ${response.statusText}`.trim();
  }
}

function openDialog(why) {
  const dialog = document.getElementById("key-dialog");
  const field = document.getElementById("key");
  if (why) document.getElementById("key-why").textContent = why;
  field.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve, reject) => {
    document.getElementById("key-cancel").onclick = () => dialog.close();
    document.getElementById("key-form").onsubmit = () => {
      sessionStorage.setItem(KEY, field.value.trim());
    };
    dialog.addEventListener("close", () => {
      if (hasKey()) resolve();
      else reject(new Problem("Without a key this server does not answer."));
    }, { once: true });
  });
}
