// Loads pictures of products: web URLs directly, files of the shop through this server.

import { fetchPictureUrl } from "./api.js";

/** Show the picture of a product in `image`, or a placeholder if it has none or a broken one. */
export async function showPicture(image, { id, address, title }) {
  image.alt = title;
  const frame = image.parentElement;
  frame.classList.remove("lacking");
  image.onerror = () => frame.classList.add("lacking");
  if (!address) {
    image.onerror();
  } else if (/^https?:\/\//i.test(address)) {
    image.src = address;
  } else {
    try {
      const objectUrl = await fetchPictureUrl(`catalogue/picture/${encodeURIComponent(id)}`);
      image.onload = () => URL.revokeObjectURL(objectUrl);
      image.src = objectUrl;
    } catch {
      image.onerror();
    }
  }
}
