// Shows the photo and the picture of a match side by side, both magnified alike.

import { showPicture } from "./pictures.js";

const dialog = document.getElementById("zoom");
const photo = document.getElementById("zoom-photo");
const match = document.getElementById("zoom-match");
const scale = document.getElementById("zoom-scale");

/** Open the dialog for a match: its id, the address of its picture, and its title. */
export function open({ id, address, title }, photoUrl) {
  photo.hidden = !photoUrl;
  if (photoUrl) photo.querySelector("img").src = photoUrl;
  match.querySelector("figcaption").textContent = title;
  const old = match.querySelector("img");
  const image = old.cloneNode();
  image.removeAttribute("src");
  old.replaceWith(image);
  showPicture(image, { id, address, title });
  scale.value = "1";
  magnify();
  dialog.showModal();
}

function magnify() {
  dialog.style.setProperty("--scale", scale.value);
}

scale.addEventListener("input", magnify);
document.getElementById("zoom-close").addEventListener("click", () => dialog.close());
