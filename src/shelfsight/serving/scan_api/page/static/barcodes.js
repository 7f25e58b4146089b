// Reads barcodes and QR codes in the browser, where it can; otherwise the server reads the photo's.

const SIDE = 720; // pixels: bars of a tenth of the view are read

const detector = "BarcodeDetector" in globalThis ? new BarcodeDetector() : null;
const canvas = document.createElement("canvas");
[canvas.width, canvas.height] = [SIDE, SIDE];
const context = canvas.getContext("2d", { willReadFrequently: true });

/** Return the code nearest to the middle of the view that `draw(context, side)` draws, or "". */
export async function readCode(draw) {
  if (!detector) return "";
  draw(context, SIDE);
  const [nearest] = (await detect()).sort((a, b) => fromMiddle(a) - fromMiddle(b));
  return nearest?.rawValue ?? "";
}

async function detect() {
  try {
    return await detector.detect(canvas);
  } catch {
    return []; // this device lacks what reads codes
  }
}

function fromMiddle({ boundingBox: { x, y, width, height } }) {
  return Math.hypot(x + width / 2 - SIDE / 2, y + height / 2 - SIDE / 2);
}
