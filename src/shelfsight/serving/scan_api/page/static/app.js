// The main script of the page: takes photos from the inputs, and starts the parts of the page.

import { ApiError, askForKey, forgetKey, hasKey } from "./api.js";
import * as camera from "./camera.js";
import * as catalogue from "./catalogue.js";
import * as map from "./map.js";
import { t } from "./messages.js";
import * as offline from "./offline.js";
import {
  clear, findCode, removePhoto, selectPhoto, setProductCount, showProblem, thingsInPhoto,
} from "./scan.js";
import * as tray from "./tray.js";

const byId = (id) => document.getElementById(id);
const drop = byId("drop");
const keyButton = byId("key-button");

let isFromCamera = false; // whether the photo came from the live camera

/** Return the pictures in dropped or pasted data: files, or one address; perhaps none. */
function picturesIn(data) {
  const files = [...data.files].filter(({ type }) => type.startsWith("image/"));
  if (files.length) return files;
  const url = (data.getData("text/uri-list") || data.getData("text/plain")).trim();
  return /^https?:\/\/\S+$/i.test(url) ? [url] : [];
}

function acceptPictures(data) {
  const pictures = picturesIn(data);
  if (pictures.length) take(pictures);
  else if (data.files.length) {
    tray.close();
    showProblem(new ApiError("file"));
  }
  return pictures.length > 0;
}

function take(pictures) {
  isFromCamera = false;
  if (pictures.length > 1) {
    clear();
    tray.open(pictures);
  } else {
    tray.close();
    selectPhoto(pictures[0]);
  }
}

function takeFromCamera(photo) {
  take([photo]);
  isFromCamera = true;
}

async function takeCode(code) {
  const showProduct = await findCode(code);
  return showProduct && (() => {
    tray.close();
    showProduct();
  });
}

/** Look for each of the things in the photo. */
async function takeApart() {
  tray.close();
  const things = await thingsInPhoto();
  if (!things) return;
  clear();
  tray.open(things, { ofOnePhoto: true });
}

/** Make room for another photo; whoever works with the live camera goes on with it. */
function another() {
  removePhoto();
  if (isFromCamera) camera.open();
  else byId("file").focus();
}

function updateKeyButton() {
  keyButton.textContent = t(hasKey() ? "key.forget" : "key.button");
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
  if (!navigator.onLine) return; // it is said once
  await Promise.allSettled([
    catalogue.load().then((state) => setProductCount(state?.image ?? 0)),
    map.showErrors(map.load),
  ]);
  updateKeyButton();
}

for (const input of [byId("file"), byId("camera")]) {
  input.addEventListener("change", () => {
    if (input.files.length) take([...input.files]);
    input.value = "";
  });
}
camera.offer({ onPhoto: takeFromCamera, onCode: takeCode });
byId("take-apart").addEventListener("click", takeApart);
byId("remove").addEventListener("click", another);
keyButton.addEventListener("click", () => changeKey().catch(() => updateKeyButton()));

byId("scan").addEventListener("submit", tray.close);
document.addEventListener("key", start);

document.addEventListener("paste", (event) => {
  const typing = event.target instanceof HTMLInputElement && !event.clipboardData.files.length;
  if (!typing && acceptPictures(event.clipboardData)) event.preventDefault();
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
  acceptPictures(event.dataTransfer);
});

offline.watch(start);
byId("find").disabled = false; // before, the browser would send the form itself
start();
