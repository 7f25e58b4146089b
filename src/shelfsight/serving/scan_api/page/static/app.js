// The page: a photo or words go in, matches come out.

import { ask, askForKey, forgetKey, hasKey, Problem } from "./api.js";
import * as catalogue from "./catalogue.js";
import * as map from "./map.js";
import * as matches from "./matches.js";
import { encoded } from "./photo.js";

const LIMIT = 10;

const byId = (id) => document.getElementById(id);
const [form, drop, chosen, preview, words] =
  ["scan", "drop", "chosen", "preview", "words"].map(byId);
const keyButton = byId("key-button");

let photo = null; // a File or Blob, or the address of a picture
let latest = 0;

function choose(what) {
  photo = what;
  if (preview.src.startsWith("blob:")) URL.revokeObjectURL(preview.src);
  preview.src = typeof what === "string" ? what : URL.createObjectURL(what);
  chosen.hidden = false;
  drop.classList.add("filled");
  scan();
}

function remove() {
  photo = null;
  preview.removeAttribute("src");
  chosen.hidden = true;
  drop.classList.remove("filled");
  byId("file").focus();
}

async function question() {
  const text = words.value.trim();
  const asked = { limit: LIMIT, ...(text && { textQuery: text }) };
  if (typeof photo === "string") return { ...asked, imageUrl: photo };
  return photo ? { ...asked, imageBase64: await encoded(photo) } : asked;
}

async function scan() {
  if (!photo && !words.value.trim()) {
    words.focus();
    return;
  }
  const number = ++latest;
  form.classList.add("busy");
  matches.busy();
  try {
    const answer = await ask("products/orchestrate/quick-scan", await question());
    if (number !== latest) return;
    matches.showAnswer(answer, map.point);
    map.tried(() => map.place(answer.scanId));
  } catch (error) {
    if (number !== latest) return;
    matches.showProblem(error instanceof Problem ? error.message : "This photo cannot be read.");
  } finally {
    if (number === latest) form.classList.remove("busy");
  }
  matches.toAnswer();
}

/** The picture that is dropped or pasted: a file, or an address on the web. */
function pictureIn(data) {
  const file = [...data.files].find(({ type }) => type.startsWith("image/"));
  if (file) return file;
  const address = (data.getData("text/uri-list") || data.getData("text/plain")).trim();
  return /^https?:\/\/\S+$/i.test(address) ? address : null;
}

function take(data) {
  const picture = pictureIn(data);
  if (picture) choose(picture);
  else if (data.files.length) matches.showProblem("That file is not a picture.");
  return Boolean(picture);
}

function showKey() {
  keyButton.textContent = hasKey() ? "Forget the key" : "API key";
}

async function changeKey() {
  if (hasKey()) {
    forgetKey();
    location.reload(); // what the key had opened is not left standing
  } else {
    await askForKey("");
    start();
  }
}

async function start() {
  await Promise.allSettled([catalogue.load(), map.tried(map.load)]);
  showKey();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  scan();
});
for (const input of [byId("file"), byId("camera")]) {
  input.addEventListener("change", () => {
    if (input.files.length) choose(input.files[0]);
    input.value = "";
  });
}
byId("remove").addEventListener("click", remove);
keyButton.addEventListener("click", () => changeKey().catch(() => showKey()));

document.addEventListener("paste", (event) => {
  const typing = event.target instanceof HTMLInputElement && !event.clipboardData.files.length;
  if (!typing && take(event.clipboardData)) event.preventDefault();
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
  take(event.dataTransfer);
});

start();
