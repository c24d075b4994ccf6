// Puts the page together. `element` and `server` are Gradio's; each function of `server` is a question to page/answers.py.
const root = element.querySelector('.siamese');
const find = (name) => root.querySelector(name);
const STORE = 'siamese-mnist symbols';
const MOST = JSON.parse(root.dataset.most); // symbols, examples of each, characters of a name
const AWAY = 'The server does not answer. Is it still running? Asking again …';
const state = { seed: 0, symbols: recall(), opened: null, laidOut: 0, images: [], answer: null, nearest: [], character: null };

function recall() {
  try {
    return [JSON.parse(localStorage.getItem(STORE)) ?? []].flat();
  } catch {
    return [];
  }
}

function remember() {
  try {
    localStorage.setItem(STORE, JSON.stringify(state.symbols));
    return '';
  } catch {
    return ' This browser keeps nothing, so a reload will forget it.';
  }
}

async function ask(method, question) {
  try {
    return (await server[method](question)) ?? { error: AWAY }; // Gradio may keep it to itself that no server is there.
  } catch {
    return { error: AWAY };
  }
}

// Asks one thing at a time. What changed meanwhile is asked next, so the last answer is the finished drawing's; until
// then `where` is busy.
function asker(method, question, show, where) {
  let [busy, stale, last, answer] = [false, false, '', null];
  const setBusy = (value) => where.setAttribute('aria-busy', (busy = value));
  setBusy(false);
  return async () => {
    stale = true;
    if (busy) return;
    setBusy(true);
    while (stale) {
      stale = false;
      const asked = question();
      const words = JSON.stringify(asked);
      if (!asked || asked.error) answer = asked;
      else if (words !== last) answer = await ask(method, asked); // The pen may be lifted where it was last.
      last = words;
      show(answer);
      if (answer?.error !== AWAY) continue;
      await new Promise((resolve) => setTimeout(resolve, 1000));
      [last, stale] = ['', true];
    }
    setBusy(false);
  };
}

const match = asker('match', () => {
  if (pad.empty) return null;
  if (pad.onlyDot) return { error: 'Only a dot so far: go on drawing' };
  const { seed, symbols, laidOut } = state;
  return { drawing: pad.exported(), seed, symbols, several: teaching(), laidOut };
}, showMatch, find('.bench'));

const compare = asker('compare', () => {
  const [a, b] = [left, right].map((side) => (side.empty || side.onlyDot ? null : side.exported()));
  return a || b ? { left: a, right: b } : null;
}, showVerdict, find('.between'));

const open = asker('open', () => ({ seed: state.seed, symbols: state.symbols }), (opened) => {
  if (opened.error) {
    if (state.symbols.length && opened.error !== AWAY) { // They may be of a page with other classes.
      state.symbols = [];
      say(find('.lesson'), `What was taught before cannot be used here: ${opened.error}`);
      open();
    } else say(find('.waiting') ?? find('.faithful'), opened.error);
    return;
  }
  const examples = state.symbols.flatMap((symbol) => symbol.examples).length;
  if (opened.places.length !== opened.names.length * opened.columns + examples) return; // something was taught meanwhile
  state.opened = opened;
  state.laidOut += 1; // What was answered before has no place on this map.
  layOut();
  match();
}, find('.map'));

function layOut() {
  const { names, places, sheet, columns } = state.opened;
  const share = drawHeaps(root, state.opened.scale);
  const groups = names.map((name, line) => ({
    name, images: Array.from({ length: columns }, (_, column) => ({ name, index: line * columns + column })),
  }));
  for (const { name, examples } of state.symbols) groups.push({ name, images: examples.map((url) => ({ name, url })) });
  Object.assign(state, { share, groups, images: groups.flatMap(({ images }) => images) });
  state.sheet = { columns, lines: names.length };
  root.style.setProperty('--sheet', `url("${sheet}")`);
  root.style.setProperty('--image', percent(state.opened.side));
  atlas.lay(state.images, places, state.sheet);
  rows.lay(groups, state.sheet);
  const kept = (10 * state.opened.kept).toFixed(0);
  say(find('.faithful'), `The more alike, the nearer, as far as a plane can tell: ${kept} of the 10 most like a drawing are near it here (t-SNE).`);
  find('.tries').replaceChildren('or try', ...state.opened.tries.map((url, at) => {
    const one = make('button', { type: 'button', 'aria-label': `Picture ${at + 1} to try` }, fillTile(make('span', { class: 'tile' }), { url }));
    one.addEventListener('click', () => pad.showUrl(url));
    return one;
  }));
  listTaught();
}

function showMatch(answer) {
  const whole = answer && !answer.error ? answer : null;
  state.answer = whole;
  showStep();
  if (whole) whole.all = whole.log_odds.flat();
  // Not laid out yet, or asked before a symbol was taught or forgotten: what comes next will fit.
  const fits = whole && whole.all.length === state.images.length ? whole : null;
  const nearest = fits ? [...fits.all.keys()].sort((a, b) => fits.distances[a] - fits.distances[b]).slice(0, NEAREST) : [];
  const trouble = answer?.error && (pad.stroke ? '…' : answer.error); // Half a drawing is not worth a complaint.
  find('.bench .sentence').classList.toggle('complaint', Boolean(trouble));
  say(find('.bench .sentence'), trouble || (whole?.sentence ?? `Draw a ${root.dataset.kind}`));
  fillTile(find('.seen .tile'), whole && { url: whole.seen });
  atlas.show(fits, nearest);
  if (state.groups) rows.show(fits, state.share);
  state.nearest = nearest;
  nearestButtons.forEach((button, place) => {
    const at = nearest[place];
    const image = state.images[at];
    const words = image ? [image.name, similarity(fits.all[at]), fits.distances[at].toFixed(1)] : ['–', '\u00a0', '\u00a0'];
    const [tile, ...parts] = button.children;
    fillTile(tile, image, state.sheet);
    parts.forEach((part, each) => say(part, words[each]));
    parts[0].className = words[0].length > LONG ? 'long' : '';
    button.disabled = !image;
    button.setAttribute('aria-label', image ? `${image.name}: ${told(fits, at)}` : 'nothing yet');
  });
}

function showVerdict(answer) {
  const section = find('#compare');
  const whole = answer && !answer.error ? answer : {};
  section.querySelector('.sentence').classList.toggle('complaint', Boolean(answer?.error));
  say(section.querySelector('.sentence'), answer?.error ?? whole.sentence ?? 'Draw on both sides, or try a pair');
  for (const side of ['left', 'right']) {
    fillTile(section.querySelector(`.tile.${side}`), whole[side] && { url: whole[side].seen });
    drawStrip(section.querySelector(`.strip.${side}`), whole[side]?.embedding);
  }
  const mark = section.querySelector('.mark');
  mark.hidden = whole.log_odds === undefined || !state.share;
  if (!mark.hidden) {
    mark.style.left = percent(state.share(whole.log_odds));
    mark.classList.toggle('same', whole.same);
  }
  const numbers = `distance ${whole.distance?.toFixed(1)}, similarity ${similarity(whole.log_odds)}; from the line on, the same`;
  say(section.querySelector('.numbers'), mark.hidden ? 'The line is the threshold: from there on, the same' : numbers);
}

// A closer look at one image, or at all of a class.
function look(what) {
  const closer = find('.closer');
  const chosen = typeof what === 'number' ? [what] : [...state.images.keys()].filter((at) => state.images[at].name === what);
  const { name } = state.images[chosen[0]];
  const fits = state.answer?.all.length === state.images.length ? state.answer : null;
  say(closer.querySelector('h2'), chosen.length > 1 ? `All ${chosen.length} images of ${name}` : name);
  closer.querySelector('.shown').classList.toggle('large', chosen.length === 1);
  closer.querySelector('.shown').replaceChildren(...chosen.map((at) => {
    const tile = fillTile(make('span', { class: 'tile' }), state.images[at], state.sheet);
    return make('figure', {}, tile, make('figcaption', {}, told(fits, at) || 'draw something to compare it with'));
  }));
  closer.showModal();
}

const pad = new Pad(find('#pad'), () => match());
const left = new Pad(find('#left'), () => changePair(''));
const right = new Pad(find('#right'), () => changePair(''));
const atlas = new Atlas(find('.map'), look);
const nearestButtons = Array.from({ length: NEAREST }, (_, place) => {
  const parts = [make('span', { class: 'tile' }), make('b'), make('span'), make('span')];
  const button = make('button', { type: 'button' }, ...parts);
  button.addEventListener('click', () => look(state.nearest[place]));
  find('.nearest').append(make('li', {}, button));
  return button;
});
const rows = new Rows(find('.classes'), look);

find('.renew').addEventListener('click', () => {
  state.seed = Math.floor(Math.random() * 2 ** 31);
  open();
});
for (const button of root.querySelectorAll('[data-pair]')) {
  button.addEventListener('click', async () => {
    const { images, names, error } = await ask('pair', { kind: button.dataset.pair });
    if (error) return showVerdict({ error });
    await Promise.all([left.showUrl(images[0]), right.showUrl(images[1])]);
    changePair(names[0] === names[1] ? `Whoever labelled them says: both ${names[0]}` : `Whoever labelled them says: ${names.join(' and ')}`);
  });
}

function changePair(truth) {
  say(find('.truth'), truth);
  compare();
}

// Tabs: the bench, where one draws and sees the map, stands in whichever of two needs it.
const tabs = [...root.querySelectorAll('[role=tab]')];
const teaching = () => find('#tab-teach').getAttribute('aria-selected') === 'true';

function select(tab, focus) {
  for (const each of tabs) {
    const chosen = each === tab;
    each.setAttribute('aria-selected', chosen);
    each.tabIndex = chosen ? 0 : -1;
    find(`#${each.getAttribute('aria-controls')}`).hidden = !chosen;
  }
  if (tab.id !== 'tab-compare') find(`#${tab.getAttribute('aria-controls')}`).append(find('.bench'));
  if (focus) tab.focus();
  match();
}

tabs.forEach((tab, at) => {
  tab.addEventListener('click', () => select(tab));
  tab.addEventListener('keydown', ({ key }) => {
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[key];
    if (to !== undefined) select(tabs[(to + tabs.length) % tabs.length], true);
  });
});

listenForPictures();
showMatch(null);
showVerdict(null);
open();
