// Teaching: what was taught is kept in this browser, as pictures, and goes along with each question.
const nameField = find('#teach input[type=text]');

function learn() {
  const name = nameField.value.trim().replace(/\s+/g, ' ');
  const known = state.symbols.find((symbol) => symbol.name === name);
  const [symbols, examples, longest] = MOST;
  const refusal =
    !state.answer ? 'Draw an example first'
    : !name ? 'Give it a name'
    : name.length > longest ? `A name has at most ${longest} characters`
    : state.opened?.names.includes(name) ? `${name} is known already: give it another name`
    : !known && state.symbols.length === symbols ? `No more than ${symbols} symbols: remove one first`
    : known?.examples.length === examples ? `No more than ${examples} examples: remove one first`
    : '';
  if (refusal) return say(find('.lesson'), refusal);
  if (known) known.examples.push(state.answer.seen);
  else state.symbols.push({ name, examples: [state.answer.seen] });
  const kept = remember();
  state.taught = true;
  pad.commit([]);
  open();
  say(find('.lesson'), `Learned “${name}”. Draw it again: is it known?${kept}`);
}

// The step that is next: draw, name, draw again.
function showStep() {
  if (pad.empty && !state.symbols.length) state.taught = false;
  const next = state.taught ? '.again' : pad.empty ? '.draw' : '.name';
  for (const step of root.querySelectorAll('.steps li')) {
    if (step.matches(next)) step.setAttribute('aria-current', 'step');
    else step.removeAttribute('aria-current');
  }
}

nameField.addEventListener('input', () => {
  state.taught = false; // Another one is being named.
  showStep();
});

function forget(name, at) {
  const symbol = state.symbols.find((each) => each.name === name);
  symbol.examples.splice(at, at === undefined ? Infinity : 1);
  if (at === undefined || !symbol.examples.length) state.symbols = state.symbols.filter((each) => each !== symbol);
  remember();
  open();
  say(find('.lesson'), `Removed ${at === undefined ? '' : 'one example of '}“${name}”.`);
  nameField.focus();
}

function listTaught() {
  find('.taught').replaceChildren(...state.symbols.map(({ name, examples }) => {
    const remove = make('button', { type: 'button', class: 'remove', 'aria-label': `Remove ${name}` }, '✕');
    remove.addEventListener('click', () => forget(name));
    const shown = examples.map((url, at) => {
      const one = make('button', { type: 'button', class: 'one', title: 'Remove this example', 'aria-label': `Remove example ${at + 1} of ${name}` }, fillTile(make('span', { class: 'tile' }), { url }));
      one.addEventListener('click', () => forget(name, at));
      return one;
    });
    return make('li', {}, make('b', {}, name), ...shown, remove);
  }));
}

find('.learn').addEventListener('click', learn);
nameField.addEventListener('keydown', ({ key }) => key === 'Enter' && learn());
find('.character').addEventListener('click', async () => {
  const again = state.character;
  const found = await ask('character', again ?? {});
  if (found.error) return say(find('.lesson'), found.error);
  state.character = again ? null : { number: found.number, writer: found.writer }; // then by another writer
  if (!again) nameField.value = found.name;
  say(find('.lesson'), again ? 'The same character by another writer' : `${found.name}: teach it, then take it once more, by another writer`);
  await pad.showUrl(found.image);
});
