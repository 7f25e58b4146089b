// The main script of the page: sends a photo or words to the server, and shows the matches.

import { ApiError, askForKey, forgetKey, hasKey, request } from "./api.js";
import * as catalogue from "./catalogue.js";
import * as map from "./map.js";
import * as matches from "./matches.js";
import { toBase64 } from "./photo.js";

const LIMIT = 10;

const byId = (id) => document.getElementById(id);
const [form, drop, selected, preview, words] =
  ["scan", "drop", "selected", "preview", "words"].map(byId);
const keyButton = byId("key-button");

let photo = null; // a File, a Blob, or the URL of a picture
let latestScan = 0; // number of the latest scan; responses to earlier scans are ignored

function selectPhoto(source) {
  photo = source;
  if (preview.src.startsWith("blob:")) URL.revokeObjectURL(preview.src);
  preview.src = typeof source === "string" ? source : URL.createObjectURL(source);
  selected.hidden = false;
  drop.classList.add("filled");
  scan();
}

function removePhoto() {
  photo = null;
  preview.removeAttribute("src");
  selected.hidden = true;
  drop.classList.remove("filled");
  byId("file").focus();
}

async function scanRequest() {
  const text = words.value.trim();
  const options = { limit: LIMIT, ...(text && { textQuery: text }) };
  if (typeof photo === "string") return { ...options, imageUrl: photo };
  return photo ? { ...options, imageBase64: await toBase64(photo) } : options;
}

async function scan() {
  if (!photo && !words.value.trim()) {
    words.focus();
    return;
  }
  const number = ++latestScan;
  form.classList.add("busy");
  matches.showBusy();
  try {
    const response = await request("products/orchestrate/quick-scan", await scanRequest());
    if (number !== latestScan) return;
    matches.showResponse(response, map.highlight);
    map.showErrors(() => map.showScan(response.scanId));
  } catch (error) {
    if (number !== latestScan) return;
    matches.showError(error instanceof ApiError ? error.message : "This photo cannot be read.");
  } finally {
    if (number === latestScan) form.classList.remove("busy");
  }
  matches.focusResults();
}

/** Return the picture in dropped or pasted data: a file or a URL; null if there is none. */
function pictureIn(data) {
  const file = [...data.files].find(({ type }) => type.startsWith("image/"));
  if (file) return file;
  const url = (data.getData("text/uri-list") || data.getData("text/plain")).trim();
  return /^https?:\/\/\S+$/i.test(url) ? url : null;
}

function acceptPicture(data) {
  const picture = pictureIn(data);
  if (picture) selectPhoto(picture);
  else if (data.files.length) matches.showError("That file is not a picture.");
  return Boolean(picture);
}

function updateKeyButton() {
  keyButton.textContent = hasKey() ? "Forget the key" : "API key";
}

async function changeKey() {
  if (hasKey()) {
    forgetKey();
    location.reload(); // remove the data that the key gave access to
  } else {
    await askForKey("");
    start();
  }
}

async function start() {
  await Promise.allSettled([catalogue.load(), map.showErrors(map.load)]);
  updateKeyButton();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  scan();
});
for (const input of [byId("file"), byId("camera")]) {
  input.addEventListener("change", () => {
    if (input.files.length) selectPhoto(input.files[0]);
    input.value = "";
  });
}
byId("remove").addEventListener("click", removePhoto);
keyButton.addEventListener("click", () => changeKey().catch(() => updateKeyButton()));

document.addEventListener("paste", (event) => {
  const typing = event.target instanceof HTMLInputElement && !event.clipboardData.files.length;
  if (!typing && acceptPicture(event.clipboardData)) event.preventDefault();
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  drop.classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) drop.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  acceptPicture(event.dataTransfer);
});

start();
