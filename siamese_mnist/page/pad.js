// The surface to draw on. Points are shares of its side; what is drawn is a list of items, strokes and pictures.
const BRUSH = 16 / 280; // of the side
const EXPORTED = 200; // pixels a side of what is sent
const LARGEST = 560; // of a picture: the server works with no more
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const PEN_STEP = 8 / 280;
const pads = [];
let lastPad = null; // for Ctrl+Z and what is pasted

class Pad {
  constructor(root, changed) {
    const find = (name) => root.querySelector(name);
    this.root = root;
    this.canvas = find('canvas');
    this.hint = find('.hint');
    this.invitation = this.hint.textContent;
    this.told = find('.told');
    this.cursor = find('.cursor');
    this.chooser = find('input');
    this.buttons = { undo: find('.undo'), redo: find('.redo'), clear: find('.clear') };
    this.changed = changed;
    this.past = [[]]; // every state of the drawing, up to `now`, and those taken back behind it
    this.now = 0;
    this.stroke = null;
    this.at = null; // where the keyboard's pen is
    this.listen();
    new ResizeObserver(() => this.fit()).observe(this.canvas);
    pads.push(this);
  }

  get items() {
    return this.stroke ? [...this.past[this.now], this.stroke] : this.past[this.now];
  }

  get empty() {
    return !this.items.length;
  }

  // Whether all there is so far are dots that hardly move the brush.
  get onlyDot() {
    const points = this.items.flatMap(({ points }) => points ?? [[0, 0], [1, 1]]);
    const spans = [0, 1].map((axis) => {
      const along = points.map((point) => point[axis]);
      return Math.max(...along) - Math.min(...along);
    });
    return points.length > 0 && Math.max(...spans) < 0.5 * BRUSH;
  }

  commit(items) {
    this.past = [...this.past.slice(0, this.now + 1), items];
    this.now += 1;
    this.refresh();
  }

  travel(steps) {
    this.stroke = null;
    this.now = Math.min(this.past.length - 1, Math.max(0, this.now + steps));
    this.refresh();
  }

  refresh() {
    lastPad = this;
    this.tell('');
    this.paint();
    this.changed();
  }

  tell(text) {
    this.hint.textContent = text || this.invitation;
    this.hint.hidden = !text && !this.empty;
    this.hint.classList.toggle('complaint', Boolean(text));
    this.told.textContent = text;
  }

  fit() {
    const side = Math.round(this.canvas.clientWidth * devicePixelRatio);
    if (side && side !== this.canvas.width) this.canvas.width = this.canvas.height = side;
    if (side) this.paint();
  }

  paint() {
    paintItems(this.canvas, this.items);
    this.hint.hidden = !this.hint.classList.contains('complaint') && !this.empty;
    this.buttons.undo.disabled = !this.now;
    this.buttons.redo.disabled = this.now === this.past.length - 1;
    this.buttons.clear.disabled = this.empty;
  }

  // A data URL of what is drawn; a picture alone as it came, with what is transparent in it.
  exported() {
    const [first, ...others] = this.items;
    if (first?.picture && !others.length) return first.picture.toDataURL('image/png');
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = EXPORTED;
    paintItems(canvas, this.items);
    return canvas.toDataURL('image/png');
  }

  begin(point) {
    this.stroke = { points: [point] };
    this.tell('');
    this.draw();
  }

  draw() {
    lastPad = this;
    this.painting ??= requestAnimationFrame(() => {
      this.painting = null;
      this.paint();
    });
    this.changed();
  }

  end() {
    if (!this.stroke) return;
    const items = this.items;
    this.stroke = null;
    this.commit(items);
  }

  async show(file) {
    try {
      const bitmap = await createImageBitmap(file);
      this.commit([{ picture: shrink(bitmap) }]);
    } catch {
      this.tell('That file is no picture this page can read; your drawing is as it was');
    }
  }

  showUrl(url) {
    return fetch(url).then((answer) => answer.blob()).then((blob) => this.show(blob));
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener('pointerdown', (event) => {
      if (event.button || this.stroke) return;
      canvas.setPointerCapture(event.pointerId);
      this.begin(this.place(event));
      this.stroke.pointer = event.pointerId;
    });
    canvas.addEventListener('pointermove', (event) => {
      if (!this.stroke || this.stroke.pointer !== event.pointerId) return;
      const passed = event.getCoalescedEvents?.() ?? [];
      for (const each of passed.length ? passed : [event]) this.stroke.points.push(this.place(each));
      this.draw();
    });
    for (const name of ['pointerup', 'pointercancel']) {
      canvas.addEventListener(name, (event) => this.stroke?.pointer === event.pointerId && this.end());
    }
    canvas.addEventListener('keydown', (event) => this.key(event));
    canvas.addEventListener('blur', () => {
      this.end();
      this.cursor.classList.remove('down');
    });
    this.buttons.undo.addEventListener('click', () => this.travel(-1));
    this.buttons.redo.addEventListener('click', () => this.travel(1));
    this.buttons.clear.addEventListener('click', () => this.commit([]));
    this.root.querySelector('.upload').addEventListener('click', () => this.chooser.click());
    this.chooser.addEventListener('change', () => {
      if (this.chooser.files[0]) this.show(this.chooser.files[0]);
      this.chooser.value = '';
    });
  }

  key(event) {
    const step = STEPS[event.key];
    if ((!step && event.key !== ' ') || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.at ??= [0.5, 0.5];
    if (step) this.at = this.at.map((at, axis) => Math.min(1 - PEN_STEP, Math.max(PEN_STEP, at + PEN_STEP * step[axis])));
    if (event.key === ' ' && !event.repeat) this.stroke ? this.end() : this.begin(this.at);
    else if (step && this.stroke) {
      this.stroke.points.push(this.at);
      this.draw();
    }
    this.cursor.style.left = `${100 * this.at[0]}%`;
    this.cursor.style.top = `${100 * this.at[1]}%`;
    this.cursor.classList.toggle('down', Boolean(this.stroke));
    const [across, down] = this.at.map((at) => Math.round(100 * at));
    this.told.textContent = `Pen ${this.stroke ? 'down' : 'up'}, ${across} % from the left, ${down} % from the top`;
  }
}

function paintItems(canvas, items) {
  const ink = canvas.getContext('2d');
  const { width } = canvas;
  const dark = items.some(({ picture }) => picture?.dark);
  ink.fillStyle = dark ? '#000' : '#fff';
  ink.fillRect(0, 0, width, width);
  ink.strokeStyle = ink.fillStyle = dark ? '#fff' : '#000';
  for (const { picture, points } of items) {
    if (points) paintStroke(ink, points, width);
    else {
      const scale = Math.min(width / picture.width, width / picture.height);
      const [w, h] = [picture.width * scale, picture.height * scale];
      ink.imageSmoothingEnabled = scale < 1;
      ink.drawImage(picture, (width - w) / 2, (width - h) / 2, w, h);
    }
  }
}

// A curve through the middles between the points; a click is a dot.
function paintStroke(ink, points, side) {
  const at = points.map(([x, y]) => [x * side, y * side]);
  ink.lineWidth = BRUSH * side;
  ink.lineCap = ink.lineJoin = 'round';
  ink.beginPath();
  if (at.every(([x, y]) => x === at[0][0] && y === at[0][1])) {
    ink.arc(...at[0], ink.lineWidth / 2, 0, 2 * Math.PI);
    ink.fill();
    return;
  }
  ink.moveTo(...at[0]);
  for (let i = 1; i < at.length - 1; i += 1) {
    const [[x, y], [toX, toY]] = [at[i], at[i + 1]];
    ink.quadraticCurveTo(x, y, (x + toX) / 2, (y + toY) / 2);
  }
  ink.lineTo(...at[at.length - 1]);
  ink.stroke();
}

// The picture on a canvas; `dark` says that it is light ink on a transparent ground, which white paper would hide.
function shrink(bitmap) {
  const scale = Math.min(1, LARGEST / Math.max(bitmap.width, bitmap.height));
  const small = document.createElement('canvas');
  small.width = Math.max(1, Math.round(bitmap.width * scale));
  small.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = small.getContext('2d');
  context.drawImage(bitmap, 0, 0, small.width, small.height);
  const { data } = context.getImageData(0, 0, small.width, small.height);
  let [alpha, light] = [0, 0];
  for (let i = 0; i < data.length; i += 4) {
    alpha += data[i + 3];
    light += (data[i + 3] * (data[i] + data[i + 1] + data[i + 2])) / 765;
  }
  small.dark = alpha < 0.98 * 255 * (data.length / 4) && light > 0.6 * alpha;
  return small;
}

const visiblePad = () => {
  const visible = pads.filter(({ canvas }) => canvas.offsetParent);
  return visible.find(({ root }) => root.matches(':hover, :focus-within')) ?? visible.find((pad) => pad === lastPad) ?? visible[0];
};

function listenForPictures() {
  document.addEventListener('dragover', (event) => event.preventDefault()); // or the browser would open the file
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    const [file] = event.dataTransfer.files;
    if (file) visiblePad()?.show(file);
  });
  document.addEventListener('paste', (event) => {
    const file = [...event.clipboardData.files].find(({ type }) => type.startsWith('image/'));
    if (file) visiblePad()?.show(file);
  });
  document.addEventListener('keydown', (event) => {
    const letter = event.key.toLowerCase();
    if (!(event.ctrlKey || event.metaKey) || !['z', 'y'].includes(letter) || event.target.matches('input')) return;
    event.preventDefault();
    visiblePad()?.travel(letter === 'y' || event.shiftKey ? 1 : -1);
  });
}
