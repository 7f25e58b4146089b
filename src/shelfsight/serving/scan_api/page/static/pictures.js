// Loads pictures of products: from web addresses directly, from files through this server.

import { fetchPictureUrl } from "./api.js";
import { t } from "./messages.js";

/** Show the picture of a product in `image`; show a placeholder if it is missing or broken. */
export async function showPicture(image, { id, address, title }) {
  image.alt = title;
  const frame = image.parentElement;
  frame.classList.remove("lacking");
  frame.dataset.lacking = t("match.nopicture");
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
