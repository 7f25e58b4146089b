// HTTP requests to this server, with the API key. An error has a kind, and the server's words.

import { t } from "./messages.js";

const KEY = "shelfsight-key";

const KINDS = {
  403: "key",
  404: "gone",
  413: "picture",
  415: "picture",
  422: "picture",
  424: "address",
  429: "busy",
  502: "asleep",
  503: "asleep",
  504: "asleep",
};

/**
 * The error of a failed request. `kind` is what a person can do something about: offline, asleep,
 * key, picture, address, file, busy, gone or unknown. `message` is in the words of the server.
 */
export class ApiError extends Error {
  constructor(kind, message = "", seconds = 5) {
    super(message);
    this.kind = kind;
    this.seconds = seconds;
  }
}

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
    throw new ApiError(navigator.onLine ? "asleep" : "offline");
  }
  if (response.ok) return response;
  if (response.status !== 401) throw await errorOf(response);
  if (key === sessionStorage.getItem(KEY)) {
    forgetKey();
    await askForKey(key ? t("key.refused") : "");
  }
  return send(path, options);
}

async function errorOf(response) {
  const kind = KINDS[response.status] ?? "unknown";
  const seconds = Number(response.headers.get("Retry-After")) || 5;
  try {
    const { detail, title } = await response.json();
    return new ApiError(kind, detail || title, seconds);
  } catch {
    return new ApiError(kind, `${response.status} ${response.statusText}`.trim(), seconds);
  }
}

function openDialog(why) {
  const dialog = document.getElementById("key-dialog");
  const field = document.getElementById("key");
  document.getElementById("key-why").textContent = why || t("key.why");
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
      else reject(new ApiError("key"));
    }, { once: true });
  });
}
