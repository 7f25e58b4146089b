// The live camera: reads codes as one points, and takes the photo by itself once the view is still.

import { readCode } from "./barcodes.js";
import { t } from "./messages.js";
import { Stillness } from "./stillness.js";
import * as video from "./video.js";

const INTERVAL = 200; // milliseconds from a look to the next
const STEADY = 2; // so many still looks, and the frame says that the photo is about to be taken

const byId = (id) => document.getElementById(id);
const [dialog, view, picture, note, shutter, turn, light, instead] =
  ["dialog", "view", "video", "note", "shutter", "turn", "light", "instead"]
    .map((name) => byId(`camera-${name}`));
const hasFingers = matchMedia("(pointer: coarse)");

let stream = null;
let opened = 0; // number of the latest start; what belongs to earlier ones is ignored
let onPhoto; // called with a photo (a File)
let onCode; // called with a code; resolves to what shows its product, or null

/** Offer the camera, or say why there is none; set what happens to photos and codes. */
export function offer(callbacks) {
  ({ onPhoto, onCode } = callbacks);
  byId("camera-start").hidden = !video.isAllowed;
  byId("camera-insecure").hidden = video.isAllowed;
  byId("capture").hidden = video.isAllowed;
}

/** Show the dialog, and start the camera in it. */
export async function open() {
  dialog.showModal();
  await start();
}

async function start(choice) {
  const number = ++opened;
  video.stop(stream);
  showState("hint");
  try {
    const started = await video.start(choice);
    if (number !== opened) {
      video.stop(started);
      return;
    }
    stream = started;
    stream.getVideoTracks()[0].onended = () => fail("none"); // it was unplugged
    picture.srcObject = stream;
    view.classList.toggle("mirrored", video.isFront(stream));
    light.hidden = !video.hasLight(stream);
    light.setAttribute("aria-pressed", "false");
    turn.hidden = !await video.nextChoice(stream);
    await picture.play();
    shutter.disabled = false;
  } catch (error) {
    if (number !== opened) return; // closing the dialog ends play()
    if (!(error instanceof video.CameraError)) throw error;
    fail(error.kind);
    return;
  }
  await watch(number);
}

function fail(kind) {
  opened += 1;
  showState(kind);
}

function showState(state) {
  const works = state === "hint";
  note.textContent = t(`camera.${state}`);
  view.hidden = !works;
  shutter.hidden = !works;
  shutter.disabled = true;
  turn.hidden = true;
  light.hidden = true;
  instead.hidden = works;
  instead.textContent = t(hasFingers.matches ? "photo.take" : "photo.choose");
  if (!works) instead.focus();
}

/** Look at the view until a code leads to a product, or it is still and the photo is taken. */
async function watch(number) {
  const stillness = new Stillness();
  const draw = (context, side) => video.drawView(picture, context, side);
  let [before, unknown] = ["", ""];
  for (;;) {
    await video.nextFrame(picture); // a stalled camera is not a still view
    const code = await readCode(draw);
    if (number !== opened) return;
    if (code && code === before && code !== unknown) {
      const showProduct = await onCode(code);
      if (number !== opened) return;
      if (showProduct) {
        close();
        showProduct();
        return;
      }
      unknown = code;
      note.textContent = t("camera.unknown", { code });
    }
    before = code;
    if (number !== opened) return;
    if (stillness.look(draw)) await take();
    view.classList.toggle("steady", stillness.looks >= STEADY);
    await new Promise((resolve) => { setTimeout(resolve, INTERVAL); });
  }
}

async function take() {
  const photo = await video.takePhoto(picture);
  close();
  onPhoto(photo);
}

function close() {
  dialog.close();
}

dialog.addEventListener("close", () => {
  opened += 1;
  video.stop(stream);
  stream = null;
  picture.srcObject = null;
});
shutter.addEventListener("click", take);
turn.addEventListener("click", async () => start(await video.nextChoice(stream)));
light.addEventListener("click", async () => {
  const isOn = light.getAttribute("aria-pressed") === "false";
  await video.switchLight(stream, isOn);
  light.setAttribute("aria-pressed", String(isOn));
});
instead.addEventListener("click", () => {
  close();
  byId(hasFingers.matches ? "camera" : "file").click();
});
byId("camera-close").addEventListener("click", close);
byId("camera-start").addEventListener("click", open);
document.addEventListener("visibilitychange", () => {
  if (document.hidden && dialog.open) close();
});
