// HTTP requests to this server, with the API key. Errors contain the message of the server.

const KEY = "shelfsight-key";

/** The error of a failed request; `message` is for people. */
export class ApiError extends Error {}

/** Send a GET request, or a POST request if there is a body; return the parsed JSON. */
export async function request(path, body) {
  const response = await send(path, body && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  return response.json();
}

/** Fetch a picture with the key, which an <img> cannot send; return an object URL of the picture. */
export async function fetchPictureUrl(path) {
  return URL.createObjectURL(await (await send(path)).blob());
}

export function hasKey() {
  return sessionStorage.getItem(KEY) !== null;
}

/** Show the key dialog with the text `why`; all callers that wait for a key share one dialog. */
export function askForKey(why) {
  openKeyDialog ??= openDialog(why).finally(() => { openKeyDialog = undefined; });
  return openKeyDialog;
}

export function forgetKey() {
  sessionStorage.removeItem(KEY);
}

let openKeyDialog; // a promise while the dialog is open

async function send(path, options = {}) {
  const key = sessionStorage.getItem(KEY);
  const headers = { ...options.headers, ...(key && { Authorization: `Bearer ${key}` }) };
  let response;
  try {
    response = await fetch(path, { ...options, headers, referrerPolicy: "no-referrer" });
  } catch {
    throw new ApiError("The server does not answer. Does it still run?");
  }
  if (response.ok) return response;
  const detail = await errorText(response);
  if (response.status !== 401) throw new ApiError(detail);
  if (key === sessionStorage.getItem(KEY)) {
    forgetKey();
    await askForKey(key ? "That key is wrong, or was revoked." : "");
  }
  return send(path, options);
}

async function errorText(response) {
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
      else reject(new ApiError("Without a key this server does not answer."));
    }, { once: true });
  });
}
