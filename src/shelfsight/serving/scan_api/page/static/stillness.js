// Tells when what a camera sees has stood still, by the differences of small grey pictures.

const SIDE = 64; // pixels that are read
const CELLS = 16; // a row of 16 means over 4 x 4 pixels: the noise of the sensor is gone
const LOOKS = 5; // so many looks in a row without a difference are still
const MOST_CHANGE = 0.12; // mean over the cells, in contrasts: the view moved by a hundredth
const LEAST_CONTRAST = 8; // of 255, standard deviation of the cells: below it there is nothing

const canvas = document.createElement("canvas");
[canvas.width, canvas.height] = [SIDE, SIDE];
const context = canvas.getContext("2d", { willReadFrequently: true });

/** The looks at one camera; `looks` says how many in a row were still. */
export class Stillness {
  looks = 0;
  #before = null;

  /** Take a look: `draw(context, side)` draws the view. Return whether it has stood still. */
  look(draw) {
    draw(context, SIDE);
    const cells = greyCells(context.getImageData(0, 0, SIDE, SIDE).data);
    const contrast = contrastOf(cells);
    const isStill = this.#before && contrast >= LEAST_CONTRAST
      && changeOf(cells, this.#before) <= MOST_CHANGE * contrast;
    this.#before = cells;
    this.looks = isStill ? this.looks + 1 : 0;
    return this.looks >= LOOKS;
  }
}

function greyCells(pixels) {
  const cells = new Float32Array(CELLS * CELLS);
  const width = SIDE / CELLS;
  for (let pixel = 0; pixel < SIDE * SIDE; pixel += 1) {
    const row = Math.floor(pixel / SIDE / width);
    const column = Math.floor((pixel % SIDE) / width);
    const at = 4 * pixel;
    const grey = 0.3 * pixels[at] + 0.6 * pixels[at + 1] + 0.1 * pixels[at + 2];
    cells[row * CELLS + column] += grey / (width * width);
  }
  return cells;
}

function changeOf(cells, before) {
  return mean(cells.map((cell, index) => Math.abs(cell - before[index])));
}

function contrastOf(cells) {
  const middle = mean(cells);
  return Math.sqrt(mean(cells.map((cell) => (cell - middle) ** 2)));
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
