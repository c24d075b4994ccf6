// What the page shows of an answer: images, the map, the rows of dots, two fingerprints.
const NEAREST = 5;
const LONG = 6; // a name of more characters is written smaller
const EDGE = 0.03; // of a scale, so that no dot is cut off
const make = (name, attributes = {}, ...children) => {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
};
const percent = (share) => `${(100 * share).toFixed(2)}%`;
const onMap = ([x, y]) => [6 + 88 * x, 6 + 88 * y]; // so that no image is cut off
const similarity = (logOdds) => {
  const share = 1 / (1 + Math.exp(-logOdds));
  return share > 0.995 ? '>0.99' : share < 0.005 ? '<0.01' : share.toFixed(2);
};
const say = (node, text) => node.textContent !== text && (node.textContent = text); // or it would be read out again

// An image of the sheet of references, which is the variable --sheet, or one of its own, or none.
function fillTile(tile, image, sheet) {
  const style = tile.style;
  if (image?.index === undefined) {
    style.background = '';
    if (image) style.backgroundImage = `url("${image.url}")`;
    return tile;
  }
  const { columns, lines } = sheet;
  const [column, line] = [image.index % columns, Math.floor(image.index / columns)];
  style.backgroundImage = 'var(--sheet)';
  style.backgroundSize = `${100 * columns}% ${100 * lines}%`;
  style.backgroundPosition = `${(100 * column) / Math.max(1, columns - 1)}% ${(100 * line) / Math.max(1, lines - 1)}%`;
  return tile;
}

const told = (answer, at) => answer && `similarity ${similarity(answer.all[at])}, distance ${answer.distances[at].toFixed(1)}`;

class Atlas {
  constructor(root, look) {
    this.root = root;
    this.lines = Array.from({ length: NEAREST }, () => document.createElementNS('http://www.w3.org/2000/svg', 'line'));
    root.querySelector('svg').append(...this.lines);
    this.you = make('span', { class: 'tile you', hidden: '', 'aria-hidden': 'true' });
    this.tiles = [];
    root.addEventListener('click', (event) => {
      const at = this.tiles.indexOf(event.target);
      if (at >= 0) look(at);
    });
  }

  // Images and their places in [0, 1]; those of examples come last.
  lay(images, places, sheet) {
    this.root.querySelectorAll('.tile, .waiting').forEach((node) => node.remove());
    this.places = places.map(onMap);
    this.tiles = images.map((image, at) => {
      const tile = fillTile(make('span', { class: image.url ? 'tile taught' : 'tile', title: image.name }), image, sheet);
      [tile.style.left, tile.style.top] = this.places[at].map((share) => `${share}%`);
      return tile;
    });
    this.root.append(...this.tiles, this.you);
  }

  show(answer, nearest) {
    const place = answer?.place && onMap(answer.place);
    this.you.hidden = !place;
    this.tiles.forEach((tile, at) => tile.classList.toggle('near', Boolean(place) && nearest.includes(at)));
    this.lines.forEach((line, each) => {
      const ends = place && nearest[each] !== undefined ? [...place, ...this.places[nearest[each]]] : [0, 0, 0, 0];
      ['x1', 'y1', 'x2', 'y2'].forEach((end, number) => line.setAttribute(end, ends[number]));
    });
    if (!place) return;
    this.you.style.translate = place.map((share) => `calc(${share}cqw - 100% + 4px)`).join(' '); // left and top would be a jump
    fillTile(this.you, { url: answer.seen });
  }
}

// A heap is how many pairs of a kind have which log-odds; the places of both stand over every scale.
function drawHeaps(root, scale) {
  const inset = (part) => EDGE + (1 - 2 * EDGE) * part;
  const share = (logOdds) => inset(Math.min(1, Math.max(0, (logOdds - scale.low) / (scale.high - scale.low))));
  for (const kind of ['same', 'different']) {
    const across = (bin) => (100 * inset((bin + 0.5) / scale[kind].length)).toFixed(2);
    const points = scale[kind].map((count, bin) => `L${across(bin)},${(20 - 19 * count).toFixed(2)}`);
    const line = `M${across(0)},20${points.join('')}L${across(points.length - 1)},20Z`;
    for (const path of root.querySelectorAll(`.heaps .${kind}`)) path.setAttribute('d', line);
  }
  root.style.setProperty('--threshold', percent(share(scale.threshold)));
  return share;
}

class Rows {
  constructor(list, look) {
    this.list = list;
    this.look = look;
  }

  lay(groups, sheet) {
    this.groups = groups;
    this.buttons = groups.map(({ name, images }) => {
      const label = make('b', { title: name, class: name.length > LONG ? 'long' : '' }, name);
      const dots = images.map(() => make('i', { hidden: '' }));
      const track = make('span', { class: 'track', 'aria-hidden': 'true' }, ...dots, make('em', { hidden: '' }));
      const button = make('button', { type: 'button', class: 'row' }, fillTile(make('span', { class: 'tile' }), images[0], sheet), label, make('span', { class: 'tick' }), track);
      button.addEventListener('click', () => this.look(name));
      return button;
    });
    this.list.replaceChildren(...this.buttons.map((button) => make('li', {}, button)));
  }

  show(answer, share) {
    this.groups.forEach(({ name, images }, at) => {
      const button = this.buttons[at];
      const own = answer?.log_odds[at];
      const mean = own && own.reduce((sum, each) => sum + each, 0) / own.length;
      const won = answer && (answer.tied.length ? answer.tied.includes(name) : answer.winner === name);
      button.classList.toggle('winner', Boolean(won));
      say(button.querySelector('.tick'), won ? '✓' : '');
      button.setAttribute('aria-label', `${name}: ${own ? `similarity ${similarity(mean)}${won ? ', the best' : ''}; ` : ''}show all ${images.length}`);
      const [bar, ...dots] = [button.querySelector('em'), ...button.querySelectorAll('i')];
      bar.hidden = !own;
      dots.forEach((dot, number) => {
        dot.hidden = !own;
        if (own) dot.style.left = percent(share(own[number]));
      });
      if (own) bar.style.left = percent(share(mean));
    });
  }
}

// Numbers around 0 as colours: one end purple, the other green, 0 white.
function drawStrip(strip, numbers) {
  const context = strip.getContext('2d');
  strip.width = numbers?.length ?? 1;
  const picture = context.createImageData(strip.width, 1);
  const most = 2.5 / Math.sqrt(strip.width);
  (numbers ?? []).forEach((number, at) => {
    const strength = Math.min(1, Math.abs(number) / most);
    const end = number < 0 ? [118, 42, 131] : [27, 120, 55];
    end.forEach((colour, part) => (picture.data[4 * at + part] = 255 + strength * (colour - 255)));
    picture.data[4 * at + 3] = 255;
  });
  context.putImageData(picture, 0, 0);
}
