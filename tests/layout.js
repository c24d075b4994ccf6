// What the tests ask of the page's layout.
const shown = (e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true })
  && !e.closest('.visually-hidden, svg') && e.getClientRects().length > 0;
const all = (selector) => [...document.querySelectorAll(selector)].filter(shown);
const named = (e) => `${e.tagName} ${e.className} ${e.textContent.trim().slice(0, 40)}`;

// Elements that stick out of their parents, are cut off, or are no longer square.
window.cutOff = () => {
  const wrong = [];
  for (const e of all('.siamese, .siamese *')) {
    const [box, parent] = [e, e.parentElement].map((each) => each.getBoundingClientRect());
    const { display, position } = getComputedStyle(e);
    const inline = display === 'inline';
    if (box.left < parent.left - 1 || box.right > parent.right + 1) wrong.push(`beside: ${named(e)}`);
    const sticksOut = box.top < parent.top - 1 || box.bottom > parent.bottom + 1;
    if (position !== 'absolute' && !inline && sticksOut) wrong.push(`above or below: ${named(e)}`);
    const scrolls = ['CANVAS', 'INPUT'].includes(e.tagName);
    if (!inline && !scrolls && e.scrollWidth > e.clientWidth + 1) wrong.push(`cut off: ${named(e)}`);
    if (e.matches('.tile, .paper, .map') && Math.abs(box.width - box.height) > 1) wrong.push(`squashed: ${named(e)}`);
  }
  if (document.documentElement.scrollWidth > innerWidth) wrong.push('the page scrolls sideways');
  return wrong;
};

window.overlapping = () => {
  const texts = all('.siamese :is(button, p, h1, h2, b, strong, input, .end)')
    .filter((e) => (e.textContent.trim() || e.tagName === 'INPUT') && !e.closest('.paper, .map'))
    .map((e) => [e, e.getBoundingClientRect()]);
  const wrong = [];
  for (const [a, p] of texts) {
    for (const [b, q] of texts) {
      const wide = Math.min(p.right, q.right) - Math.max(p.left, q.left);
      const high = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
      if (!a.contains(b) && !b.contains(a) && wide > 1 && high > 1) wrong.push(`${named(a)} over ${named(b)}`);
    }
  }
  return wrong;
};

// Parts that are no text, and stand out from their ground by less than 3 : 1.
window.faintParts = () => {
  const context = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const colour = rgba(getComputedStyle(e).backgroundColor);
      if (colour[3] > 200) return colour;
    }
    return [255, 255, 255];
  };
  const parts = {
    '.row i, .row em, .mark': 'backgroundColor',
    'button:enabled:not([role=tab], .row), input[type=text], .paper, .map, .encoder': 'borderTopColor',
    '.heaps path': 'fill',
  };
  return Object.entries(parts).flatMap(([selector, property]) =>
    [...document.querySelectorAll(`.siamese :is(${selector})`)].filter((e) => e.checkVisibility()).map((e) => {
      const [a, b] = [light(rgba(getComputedStyle(e)[property])), light(behind(e.parentElement))];
      return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), `${e.tagName} ${e.getAttribute('class')}`];
    }).filter(([contrast]) => contrast < 3));
};

window.shiftUnasked = 0;
window.shift = 0;
new PerformanceObserver((list) => list.getEntries().forEach((entry) => {
  window.shift += entry.value;
  window.shiftUnasked += entry.hadRecentInput ? 0 : entry.value;
})).observe({ type: 'layout-shift', buffered: true });
