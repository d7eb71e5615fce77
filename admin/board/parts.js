// SPDX-License-Identifier: MIT

// What several views show: a leak in a few words, a list in pages.

const PAGE_ROWS = 50;

function leakLink(leak) {
  return el('a', { href: `#/leak/${leak.id}` },
    foreign(`${leak.method} ${leak.route}`, 90));
}

function leakName(leak) {
  return el('span', { class: 'leak' }, leakLink(leak), ' ',
    el('span', { class: 'status' }, String(leak.status)),
    el('span', { class: 'where' }, foreign(leak.origin), ' ',
      tagList(leak.tags)));
}

function leakWords(leak) {
  const tags = Object.entries(leak.tags).map(([key, value]) =>
    `${key}=${value}`).join(' ');
  return visible(shorten(
    `${leak.method} ${leak.route} ${leak.status} ${tags}`.trim(), 100));
}

function rhythmText(leak) {
  const rhythm = leak.rhythm;
  if (!rhythm)
    return '–';
  if (rhythm.period_s === null)
    return plural(rhythm.bursts, 'burst');
  return `every ${duration(rhythm.period_s)} ± ${duration(rhythm.jitter_s)}, ` +
    plural(rhythm.bursts, 'burst');
}

function suspectText(leak) {
  if (!leak.suspect)
    return leak.suspect_note ? visible(leak.suspect_note) : '–';
  const { mark, phase, bursts_explained: explained } = leak.suspect;
  return `${visible(mark)} (${phase}): ${number(explained)} of ` +
    plural(leak.rhythm?.bursts ?? explained, 'burst');
}

function evidenceText(leak) {
  const kinds = Object.entries(leak.evidence);
  return kinds.length === 0 ? '–'
    : kinds.map(([kind, count]) => `${number(count)} ${kind}`).join(', ');
}

// Who holds the other end.
function ownerText(item) {
  const process = item.pid === null ? '' : ` (pid ${item.pid})`;
  return item.command === null && item.pid === null ? foreign(null)
    : el('span', {}, foreign(item.command ?? 'process'), process);
}

// ---- lists in pages ----

// Where in a list, and what of it, is part of the address: it can be shared,
// and the browser's buttons work.
function listAddress(view, query, changes) {
  return withQuery(`#/${view}`, { ...query, ...changes });
}

function filterForm(view, query, filters) {
  const form = el('form', { class: 'filters', 'data-keep': true,
    role: 'search', 'aria-label': `Which ${view} to show` },
  filters.map((filter) => {
    const id = `filter-${filter.name}`;
    const input = filter.options
      ? el('select', { id, name: filter.name }, filter.options.map((option) =>
        el('option', { value: option,
          selected: option === (query[filter.name] ?? '') },
        option === '' ? 'any' : option.replace('_', ' '))))
      : el('input', { id, name: filter.name, type: 'text', size: 18,
        placeholder: filter.example, value: query[filter.name] ?? '',
        spellcheck: 'false', autocapitalize: 'none' });
    return el('span', {}, el('label', { for: id }, filter.label), ' ', input);
  }),
  el('button', { type: 'submit' }, 'Show'),
  el('a', { href: `#/${view}` }, 'all'));
  const show = () => {
    const values = Object.fromEntries(new FormData(form));
    location.hash = listAddress(view, values, {});
  };
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    show();
  });
  form.addEventListener('change', (event) => {
    if (event.target.tagName === 'SELECT')
      show();
  });
  return form;
}

function pager(view, query, { total, offset }, shown) {
  const link = (to, text, rel) => to === null
    ? el('span', { class: 'none' }, text)
    : el('a', { rel, href: listAddress(view, query, { offset: to }) }, text);
  const last = offset + shown;
  if (offset === 0 && last === total)
    return el('p', { class: 'pager' }, shown === 0 ? 'None.'
      : `${number(total)} in all.`);
  return el('nav', { class: 'pager', 'aria-label': `Pages of ${view}` },
    link(offset > 0 ? Math.max(0, offset - PAGE_ROWS) : null, '← previous',
      'prev'),
    el('span', {}, shown === 0 ? `none of ${number(total)}`
      : `${number(offset + 1)}–${number(last)} of ${number(total)}`),
    link(last < total ? last : null, 'next →', 'next'));
}

async function loadList(path, query) {
  return askJson(withQuery(path, { ...query, limit: PAGE_ROWS }));
}
