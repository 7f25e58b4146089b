// Prepares a photo for upload: turns it upright, and shrinks it to the size that the models need.

import { ApiError } from "./api.js";

const LONGEST_SIDE = 1280;
const QUALITY = 0.9;
const MAX_BYTES_UNCHANGED = 1_000_000;

/**
 * Encode a photo in base64. If this browser cannot decode the photo, it is sent unchanged. Raises
 * ApiError if its file cannot be read.
 */
export async function toBase64(file) {
  const blob = await downscaled(file);
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(new ApiError("picture"));
    reader.readAsDataURL(blob);
  });
}

async function downscaled(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    return file;
  }
  const scale = LONGEST_SIDE / Math.max(bitmap.width, bitmap.height);
  if (scale >= 1 && file.size <= MAX_BYTES_UNCHANGED) return file;
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * Math.min(scale, 1)));
  canvas.height = Math.max(1, Math.round(bitmap.height * Math.min(scale, 1)));
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return new Promise((resolve) => {
    canvas.toBlob((blob) => resolve(blob ?? file), "image/jpeg", QUALITY);
  });
}
