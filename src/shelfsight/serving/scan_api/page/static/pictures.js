// Pictures of products: from the web as they are, from the server's folder through the server.

import { pictureAddress } from "./api.js";

/** Show a product's picture in `image`; whoever has none, or a broken one, gets a placeholder. */
export async function show(image, { id, address, title }) {
  image.alt = title;
  const place = image.parentElement;
  place.classList.remove("lacking");
  image.onerror = () => place.classList.add("lacking");
  if (!address) {
    image.onerror();
  } else if (/^https?:\/\//i.test(address)) {
    image.src = address;
  } else {
    try {
      const own = await pictureAddress(`catalogue/picture/${encodeURIComponent(id)}`);
      image.onload = () => URL.revokeObjectURL(own);
      image.src = own;
    } catch {
      image.onerror();
    }
  }
}
