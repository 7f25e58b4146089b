// Marks the part of the photo that shows the thing meant: by dragging, tapping, or with the keys.

const STEP = 0.05; // what an arrow key moves, in parts of the photo
const SMALLEST = 0.05;
const FIRST = { x: 0.25, y: 0.25, width: 0.5, height: 0.5 };

const byId = (id) => document.getElementById(id);
const [frame, photo, mark, start, clear] =
  ["frame", "preview", "box", "box-start", "box-clear"].map(byId);

let box = null; // the marked part
let dragged = null; // where a drag began
let onChange = () => {};

/** Call a function whenever the marked part was changed. */
export function watch(callback) {
  onChange = callback;
}

/** Return the marked part, { x, y, width, height } as parts of the photo; null for all of it. */
export function marked() {
  return box;
}

/** Unmark the photo. */
export function reset() {
  box = null;
  draw();
}

/** Return the rectangle of the photo on the page, without the empty edges beside it. */
function shown() {
  const outer = photo.getBoundingClientRect();
  const scale = Math.min(outer.width / photo.naturalWidth, outer.height / photo.naturalHeight);
  const [width, height] = [photo.naturalWidth * scale, photo.naturalHeight * scale];
  const left = outer.left + (outer.width - width) / 2;
  return { left, top: outer.top + (outer.height - height) / 2, width, height };
}

function draw() {
  mark.hidden = !box;
  clear.hidden = !box;
  start.hidden = Boolean(box);
  frame.classList.toggle("marked", Boolean(box));
  if (!box) return;
  const [area, outer] = [shown(), frame.getBoundingClientRect()];
  mark.style.left = `${area.left - outer.left + box.x * area.width}px`;
  mark.style.top = `${area.top - outer.top + box.y * area.height}px`;
  mark.style.width = `${box.width * area.width}px`;
  mark.style.height = `${box.height * area.height}px`;
}

function placeOf(event) {
  const area = shown();
  return [within((event.clientX - area.left) / area.width),
    within((event.clientY - area.top) / area.height)];
}

function within(share, most = 1) {
  return Math.min(most, Math.max(0, share));
}

function between([ax, ay], [bx, by]) {
  return {
    x: Math.min(ax, bx),
    y: Math.min(ay, by),
    width: Math.abs(ax - bx),
    height: Math.abs(ay - by),
  };
}

function moved(dx, dy) {
  return { ...box, x: within(box.x + dx, 1 - box.width), y: within(box.y + dy, 1 - box.height) };
}

function resized(by) {
  const width = Math.min(1, Math.max(SMALLEST, box.width + by));
  const height = Math.min(1, Math.max(SMALLEST, box.height + by));
  return { x: within(box.x, 1 - width), y: within(box.y, 1 - height), width, height };
}

const KEYS = {
  ArrowLeft: () => moved(-STEP, 0),
  ArrowRight: () => moved(STEP, 0),
  ArrowUp: () => moved(0, -STEP),
  ArrowDown: () => moved(0, STEP),
  "+": () => resized(STEP),
  "-": () => resized(-STEP),
};

frame.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || (event.pointerType === "touch" && !box)) return; // a touch scrolls
  dragged = { from: placeOf(event), before: box };
  frame.setPointerCapture(event.pointerId);
});
frame.addEventListener("pointermove", (event) => {
  if (!dragged) return;
  const drawn = between(dragged.from, placeOf(event));
  if (drawn.width < SMALLEST || drawn.height < SMALLEST) return;
  box = drawn;
  draw();
});
frame.addEventListener("pointerup", () => {
  if (!dragged) return;
  const { from: [x, y], before } = dragged;
  dragged = null;
  if (box === before && box) box = moved(x - box.x - box.width / 2, y - box.y - box.height / 2);
  if (box === before) return;
  draw();
  onChange();
});
frame.addEventListener("pointercancel", () => { dragged = null; });
mark.addEventListener("keydown", (event) => {
  if (event.key === "Enter") onChange();
  if (!(event.key in KEYS)) return;
  event.preventDefault();
  box = KEYS[event.key]();
  draw();
});
start.addEventListener("click", () => {
  box = { ...FIRST };
  draw();
  mark.focus();
});
clear.addEventListener("click", () => {
  reset();
  onChange();
});
new ResizeObserver(draw).observe(frame);
