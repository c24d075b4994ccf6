// Runs once a component: `element`, `props`, `trigger` and `watch` are Gradio's.
const canvas = element.querySelector('canvas');
const cursor = element.querySelector('.cursor');
const hint = element.querySelector('.hint');
const invitation = hint.textContent;
const chooser = element.querySelector('input');
const ink = canvas.getContext('2d');
const { width, height } = canvas;
const LARGEST = 560; // the server works with no more pixels a side
let items = []; // strokes {points} and pictures {picture}, in the order they came
let stroke = null;
let sent = '';
let keys = null; // where the keyboard's pen is

function paint() {
  ink.fillStyle = '#fff';
  ink.fillRect(0, 0, width, height);
  for (const { picture, points } of items) {
    if (points) paintLine(points);
    else {
      const scale = Math.min(width / picture.width, height / picture.height);
      const [w, h] = [picture.width * scale, picture.height * scale];
      ink.imageSmoothingEnabled = scale < 1;
      ink.drawImage(picture, (width - w) / 2, (height - h) / 2, w, h);
    }
  }
  hint.textContent = invitation;
  hint.hidden = items.length > 0;
}

function paintLine(points) {
  ink.lineWidth = Number(canvas.dataset.brush);
  ink.lineCap = ink.lineJoin = 'round';
  ink.beginPath();
  ink.moveTo(...points[0]);
  for (const point of points) ink.lineTo(...point);
  ink.stroke();
}

function extend(point) {
  stroke.points.push(point);
  paintLine(stroke.points.slice(-2));
}

function send() {
  const alone = items.length === 1 && items[0].picture;
  sent = items.length ? (alone || canvas).toDataURL('image/png') : '';
  props.value = sent;
  trigger('input');
}

function change(next) {
  items = next;
  stroke = null;
  paint();
  send();
}

function begin(point) {
  stroke = { points: [point] };
  items.push(stroke);
  hint.hidden = true;
  paintLine(stroke.points);
}

function end() {
  if (!stroke) return;
  stroke = null;
  paint(); // joins the pieces smoothly: the same ink as after an undo
  send();
}

function place(event) {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) * width / box.width, (event.clientY - box.top) * height / box.height];
}

canvas.addEventListener('pointerdown', (event) => {
  if (event.button || stroke) return;
  canvas.setPointerCapture(event.pointerId);
  begin(place(event));
  stroke.pointer = event.pointerId;
});
canvas.addEventListener('pointermove', (event) => {
  if (!stroke || stroke.pointer !== event.pointerId) return;
  const passed = event.getCoalescedEvents?.() ?? [];
  for (const each of passed.length ? passed : [event]) extend(place(each));
});
for (const name of ['pointerup', 'pointercancel']) {
  canvas.addEventListener(name, (event) => stroke?.pointer === event.pointerId && end());
}

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
canvas.addEventListener('keydown', (event) => {
  const step = STEPS[event.key];
  if (!step && event.key !== ' ') return;
  event.preventDefault();
  keys ??= [width / 2, height / 2];
  if (step) keys = keys.map((at, axis) => Math.min(width - 8, Math.max(8, at + 8 * step[axis])));
  if (event.key === ' ') stroke ? end() : begin(keys);
  else if (stroke) extend(keys);
  cursor.style.left = `${100 * keys[0] / width}%`;
  cursor.style.top = `${100 * keys[1] / height}%`;
  cursor.classList.toggle('down', Boolean(stroke));
});
canvas.addEventListener('blur', end);

element.querySelector('.undo').addEventListener('click', () => items.length && change(items.slice(0, -1)));
element.querySelector('.clear').addEventListener('click', () => change([]));
element.querySelector('.upload').addEventListener('click', () => chooser.click());
chooser.addEventListener('change', () => {
  if (chooser.files[0]) show(chooser.files[0]);
  chooser.value = '';
});

async function show(file) {
  try {
    const picture = await createImageBitmap(file);
    change([{ picture: shrink(picture) }]);
  } catch {
    change([]);
    hint.textContent = 'That file is no image this page can read';
  }
}

function shrink(picture) {
  const scale = Math.min(1, LARGEST / Math.max(picture.width, picture.height));
  const small = document.createElement('canvas');
  small.width = Math.max(1, Math.round(picture.width * scale));
  small.height = Math.max(1, Math.round(picture.height * scale));
  small.getContext('2d').drawImage(picture, 0, 0, small.width, small.height);
  return small;
}

element.addEventListener('dragover', (event) => event.preventDefault());
element.addEventListener('drop', (event) => {
  event.preventDefault();
  if (event.dataTransfer.files[0]) show(event.dataTransfer.files[0]);
});
document.addEventListener('paste', (event) => {
  const file = [...event.clipboardData.files].find(({ type }) => type.startsWith('image/'));
  const pads = [...document.querySelectorAll('.sketchpad canvas')].filter((pad) => pad.offsetParent);
  const pad = pads.find((each) => each.matches(':hover, :focus')) ?? pads[0];
  if (file && pad === canvas) show(file);
});

watch('value', () => {
  const value = props.value ?? '';
  if (value === sent) return; // the server's word, not our own
  sent = value;
  stroke = null;
  items = [];
  if (!value) return paint();
  const picture = new Image();
  picture.onload = () => {
    items = [{ picture: shrink(picture) }];
    paint();
  };
  picture.src = value;
});

paint();
