// SPDX-License-Identifier: MIT

// The first view: what is held over time, and by which leaks.

const BAND_COLORS = 7;

// A leak keeps its color while it is among those drawn.
const colorsOfLeaks = new Map();

function assignColors(leaks) {
  const ids = new Set(leaks.map((leak) => leak.id));
  for (const id of colorsOfLeaks.keys()) {
    if (!ids.has(id))
      colorsOfLeaks.delete(id);
  }
  for (const id of ids) {
    const taken = new Set(colorsOfLeaks.values());
    const free = [...Array(BAND_COLORS).keys()].find((i) => !taken.has(i));
    if (!colorsOfLeaks.has(id))
      colorsOfLeaks.set(id, free);
  }
}

// One that is not drawn alone is among the others.
function colorOf(leak) {
  return `c${colorsOfLeaks.get(leak.id) ?? BAND_COLORS}`;
}

function bandsOf({ leaks, other, other_leaks: rest }) {
  assignColors(leaks);
  const bands = leaks.map((leak) => ({ leak,
    name: leakWords(leak), color: colorOf(leak),
    values: leak.held_series.values }));
  if (rest > 0)
    bands.push({ name: plural(rest, 'other leak'), color: `c${BAND_COLORS}`,
      values: other.values });
  return bands;
}

function legend(bands) {
  return el('ul', { class: 'legend' }, bands.map((band) => el('li', {},
    svg('svg', { width: 10, height: 10, class: 'swatch',
      'aria-hidden': 'true' },
    svg('rect', { width: 10, height: 10, class: band.color })),
    el('b', {}, number(band.values.at(-1))),
    band.leak ? leakName(band.leak) : band.name)));
}

// As many rows as one can read.
function chartTable(bands, time) {
  const count = bands[0].values.length;
  const every = Math.max(1, Math.ceil(count / 16));
  const rows = [];
  for (let i = count - 1; i >= 0; i -= every)
    rows.push(i);
  const endOf = (i) => Math.min((i + 1) * time.binS, time.seconds);
  return el('details', { class: 'as-table' },
    el('summary', {}, 'The chart as a table'),
    table('Responses held, by leak', [
      { name: 'until', isHead: true,
        of: (i) => clock(time.startMs + endOf(i) * 1000) },
      ...bands.map((band) => ({ name: band.name, isNumber: true,
        of: (i) => number(band.values[i]) }))], rows));
}

function summarize(bands, time) {
  const total = bands.reduce((sumOf, band) =>
    sumOf + band.values.at(-1), 0);
  const parts = bands.map((band) =>
    `${band.name}: ${number(band.values.at(-1))}`);
  return `Responses held from ${clock(time.startMs)} to ` +
    `${clock(time.startMs + time.seconds * 1000)}, now ${number(total)}. ` +
    parts.join('; ');
}

function marksFor({ marks }, leaks) {
  return { list: marks,
    suspects: new Set(leaks.map((leak) => leak.suspect?.mark)) };
}

function chartWidth() {
  return Math.max(280, document.getElementById('view').clientWidth);
}

function chartFigure(bands, time, marks, title) {
  const hasMarks = lanesOf(marks.list, time.startMs, time.seconds).length > 0;
  const figure = el('figure', {},
    el('figcaption', {}, title, hasMarks
      ? '; ticks below: jobs that announced their start (long) and stop' : ''),
    stairs(bands, time, marks, chartWidth(), summarize(bands, time)));
  return figure;
}

function timelineFigure(timeline, marks) {
  const held = timeline.held_by_leak;
  if (!held || held.leaks.length === 0)
    return el('p', { class: 'calm' }, 'Nothing leaks, as far as we can see.');
  const bands = bandsOf(held);
  const time = { startMs: Date.parse(timeline.start),
    seconds: timeline.seconds, binS: held.leaks[0].held_series.bin_s };
  return el('section', { 'aria-labelledby': 'over-time' },
    el('h3', { id: 'over-time' }, 'Held over time'),
    chartFigure(bands, time, marks, 'Responses held, stacked by leak, each ' +
      'since it came; it is proven a little later'),
    legend(bands), chartTable(bands, time));
}

function headline(totals, count) {
  if (count === 0)
    return 'No leak so far';
  return `${plural(totals.held_now, 'response')} held, by ` +
    plural(count, 'leak');
}

function totalsText({ totals, seconds }) {
  const kinds = ['drained', 'undrained', 'suspected', 'open', 'abandoned',
    'unproven', 'none'].filter((kind) => totals[kind] > 0);
  const counts = kinds.map((kind) =>
    `${number(totals[kind])} ${kind === 'none' ? 'no body' : kind}`);
  return `watched ${duration(seconds)} · ` +
    `${plural(totals.connections, 'connection')} · ` +
    plural(totals.exchanges, 'exchange') +
    (counts.length > 0 ? `: ${counts.join(', ')}` : '');
}

const LEAK_COLUMNS = [
  { name: 'leak', isHead: true, of: leakName },
  { name: 'held', isNumber: true, of: (leak) => number(leak.held_now) },
  { name: 'over time', of: (leak) =>
    sparkline(leak.held_series, colorOf(leak)) },
  { name: 'undrained', isNumber: true, of: (leak) => number(leak.undrained) },
  { name: 'per hour', isNumber: true, of: (leak) => rough(leak.per_hour) },
  { name: 'rhythm', of: rhythmText },
  { name: 'suspect', of: suspectText },
  { name: 'evidence', of: evidenceText }];

const LEAK_FILTERS = [
  { name: 'origin', label: 'origin', example: 'https://host:443' },
  { name: 'tag', label: 'tag', example: 'job=imagecheck' },
  { name: 'sort', label: 'by', options: ['undrained', 'held', 'last_seen',
    'route'] }];

const leaksView = {
  title: 'Leaks',
  async load(query) {
    const [list, timeline, marks] = await Promise.all([
      loadList('/api/leaks', { ...query, series: 'held' }),
      askJson('/api/timeline'), askJson('/api/marks')]);
    return { list, timeline, marks: marksFor(marks, list.leaks) };
  },
  render({ list, timeline, marks }, query) {
    const isFiltered = Boolean(query.origin || query.tag);
    const count = isFiltered ? timeline.held_by_leak?.leaks.length +
      timeline.held_by_leak?.other_leaks : list.total;
    return [
      el('h2', { tabindex: -1 }, headline(list.totals, count)),
      el('p', { class: 'totals' }, totalsText(list)),
      list.pprof && el('p', {}, foreign(list.pprof.says, 400)),
      timelineFigure(timeline, marks),
      el('section', { 'aria-labelledby': 'ranked' },
        el('h3', { id: 'ranked' }, 'Leaks, ranked'),
        filterForm('leaks', query, LEAK_FILTERS),
        list.leaks.length > 0 && table('Leaks', LEAK_COLUMNS, list.leaks,
          (leak) => leak.id),
        pager('leaks', query, list, list.leaks.length))];
  },
};
