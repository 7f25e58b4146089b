// Prepares a photo for upload: upright, as small as the models need, and only the part that is meant.

import { ApiError } from "./api.js";

const LONGEST_SIDE = 1280;
const JPEG = "image/jpeg";
const QUALITY = 0.9;
const MAX_BYTES_UNCHANGED = 1_000_000;
const WHOLE = { x: 0, y: 0, width: 1, height: 1 };

/**
 * Return the fields of a request for a photo (a File or Blob), or for the part of it in `box`.
 *
 * A large photo is cut to the box before it is shrunk, so that the part keeps its detail. A small
 * one is sent unchanged with the box, and so is one that this browser cannot decode. Raises ApiError
 * if the file cannot be read.
 */
export async function photoFields(file, box = null) {
  const drawn = await drawnAnew(file, box ?? WHOLE);
  if (drawn) return { imageBase64: await toBase64(drawn) };
  return { imageBase64: await toBase64(file), ...(box && { box }) };
}

/** Return each box of a photo (a File) as a photo of its own. Raises ApiError if that fails. */
export async function photoParts(file, boxes) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    throw new ApiError("picture");
  }
  const stem = (file.name ?? "photo").replace(/\.\w+$/, "");
  const parts = await Promise.all(boxes.map(async (box, index) => new File(
    [await toJpeg(cut(bitmap, box))], `${stem}-${index + 1}.jpg`, { type: JPEG },
  )));
  bitmap.close();
  return parts;
}

/** Return a JPEG of the box in a photo; null if the photo is sent as it is. */
async function drawnAnew(file, box) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    return null;
  }
  const isSmall = Math.max(bitmap.width, bitmap.height) <= LONGEST_SIDE;
  if (isSmall && file.size <= MAX_BYTES_UNCHANGED) return null;
  const canvas = cut(bitmap, box);
  bitmap.close();
  return toJpeg(canvas);
}

function toJpeg(canvas) {
  return new Promise((resolve) => { canvas.toBlob(resolve, JPEG, QUALITY); });
}

function cut(bitmap, box) {
  const left = Math.floor(box.x * bitmap.width);
  const top = Math.floor(box.y * bitmap.height);
  const width = Math.max(1, Math.ceil((box.x + box.width) * bitmap.width) - left);
  const height = Math.max(1, Math.ceil((box.y + box.height) * bitmap.height) - top);
  const scale = Math.min(1, LONGEST_SIDE / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, left, top, width, height, 0, 0, canvas.width, canvas.height);
  return canvas;
}

function toBase64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(new ApiError("picture"));
    reader.readAsDataURL(blob);
  });
}
