// A camera of this device: starting it, the other camera, its light, and what is seen by it.

const SIZE = { width: { ideal: 1920 }, height: { ideal: 1080 } };
const QUALITY = 0.92;

const KINDS = {
  NotAllowedError: "refused",
  SecurityError: "refused",
  NotFoundError: "none",
  OverconstrainedError: "none",
};

/** Whether this page may ask for a camera: browsers allow it over HTTPS and on this machine only. */
export const isAllowed = Boolean(navigator.mediaDevices?.getUserMedia);

/** The error of a camera that does not start. `kind` is refused, none or taken. */
export class CameraError extends Error {
  constructor(kind) {
    super(kind);
    this.kind = kind;
  }
}

/** Start the camera at the back, or the `choice` of `nextChoice`. Raises CameraError. */
export async function start(choice = { facingMode: "environment" }) {
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { ...SIZE, ...choice } });
  } catch (error) {
    throw new CameraError(KINDS[error.name] ?? "taken");
  }
}

export function stop(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

export function isFront(stream) {
  return trackOf(stream).getSettings().facingMode === "user";
}

/** Return what to start instead: the other side of a phone, else the next camera; null if alone. */
export async function nextChoice(stream) {
  const { deviceId, facingMode } = trackOf(stream).getSettings();
  const devices = await navigator.mediaDevices.enumerateDevices();
  const ids = devices.filter(({ kind }) => kind === "videoinput").map((device) => device.deviceId);
  if (ids.length < 2) return null;
  if (facingMode) return { facingMode: facingMode === "user" ? "environment" : "user" };
  return { deviceId: { exact: ids[(ids.indexOf(deviceId) + 1) % ids.length] } };
}

export function hasLight(stream) {
  return Boolean(trackOf(stream).getCapabilities?.().torch);
}

export async function switchLight(stream, isOn) {
  await trackOf(stream).applyConstraints({ advanced: [{ torch: isOn }] });
}

/** Wait until a video shows another picture of the camera. */
export function nextFrame(video) {
  return new Promise((resolve) => {
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(resolve);
    else requestAnimationFrame(resolve);
  });
}

/** Draw the square in the middle of a video, which is all that the page shows of it. */
export function drawView(video, context, side) {
  const shown = Math.min(video.videoWidth, video.videoHeight);
  const [left, top] = [(video.videoWidth - shown) / 2, (video.videoHeight - shown) / 2];
  context.drawImage(video, left, top, shown, shown, 0, 0, side, side);
}

/** Return what is seen now as a photo, at full size. */
export async function takePhoto(video) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.min(video.videoWidth, video.videoHeight);
  canvas.height = canvas.width;
  drawView(video, canvas.getContext("2d"), canvas.width);
  const blob = await new Promise((resolve) => { canvas.toBlob(resolve, "image/jpeg", QUALITY); });
  return new File([blob], "camera.jpg", { type: "image/jpeg" });
}

function trackOf(stream) {
  return stream.getVideoTracks()[0];
}
