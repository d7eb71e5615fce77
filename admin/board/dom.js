// SPDX-License-Identifier: MIT

// Elements.  Text becomes a text node, always; nothing is parsed.

// Longer than this, and it may be broken anywhere.
const LONG_CHARACTERS = 32;

const SVG = 'http://www.w3.org/2000/svg';

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false)
      node.setAttribute(name, value === true ? '' : String(value));
  }
  node.append(...children.flat(Infinity).filter(
    (child) => child !== null && child !== undefined && child !== false));
  return node;
}

function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

// A stranger's text, isolated from its surroundings, its escapes marked.
function foreign(text, most = SHORT_CHARACTERS) {
  if (text === null || text === undefined)
    return el('span', { class: 'none' }, '–');
  const shown = shorten(visible(text), most);
  return el('bdi', { class: shown.length > LONG_CHARACTERS && 'long' },
    shown.split(/(\\u(?:[0-9a-f]{4}|\{[0-9a-f]+\}))/)
    .map((part, i) =>
      i % 2 === 1 ? el('span', { class: 'escape' }, part) : part));
}

function tagList(tags) {
  const names = Object.keys(tags);
  if (names.length === 0)
    return el('span', { class: 'none' }, '–');
  return el('span', { class: 'tags' }, names.map((name) =>
    el('span', { class: 'tag' }, foreign(`${name}=${tags[name]}`, 60))));
}

// `columns`: {name, of(item) -> content, isNumber, isHead}.  The names go with
// the cells too: a narrow screen shows each row as a list.
function table(caption, columns, items, keyOf) {
  const cell = (column, item) => el(column.isHead ? 'th' : 'td',
    { scope: column.isHead && 'row', 'data-name': column.name,
      class: column.isNumber && 'number' }, column.of(item));
  return el('table', {},
    el('caption', {}, caption),
    el('thead', {}, el('tr', {}, columns.map((column) =>
      el('th', { scope: 'col', class: column.isNumber && 'number' },
        column.name)))),
    el('tbody', {}, items.map((item, i) =>
      el('tr', { 'data-key': keyOf ? keyOf(item) : i },
        columns.map((column) => cell(column, item))))));
}

function facts(pairs) {
  return el('dl', { class: 'facts' }, pairs.map(([name, value]) =>
    el('div', {}, el('dt', {}, name), el('dd', {}, value))));
}

// ---- changes ----

function isSameKind(a, b) {
  return a.nodeName === b.nodeName && a.nodeType === b.nodeType &&
    (a.nodeType !== Node.ELEMENT_NODE ||
      (a.getAttribute('data-key') === b.getAttribute('data-key') &&
        !a.hasAttribute('data-whole')));
}

function patchAttributes(old, fresh) {
  for (const { name } of Array.from(old.attributes)) {
    // What the reader opened stays open.
    if (!fresh.hasAttribute(name) &&
        !(old.nodeName === 'DETAILS' && name === 'open'))
      old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value)
      old.setAttribute(name, value);
  }
}

// Makes `old` look like `fresh`, and leaves alone what does already: focus,
// selection and scroll positions stay.
function patch(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue)
      old.nodeValue = fresh.nodeValue;
    return;
  }
  if (old.hasAttribute('data-keep'))
    return;
  patchAttributes(old, fresh);
  const wanted = Array.from(fresh.childNodes);
  wanted.forEach((child, i) => {
    const there = old.childNodes[i];
    if (!there)
      old.append(child);
    else if (isSameKind(there, child))
      patch(there, child);
    else
      there.replaceWith(child);
  });
  while (old.childNodes.length > wanted.length)
    old.lastChild.remove();
}
