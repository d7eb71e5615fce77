// SPDX-License-Identifier: MIT

// Charts, drawn by hand: steps, for a count is what it is until it changes.

const CHART_HEIGHT = 240;
const MARGIN = { top: 8, right: 12, bottom: 22, left: 44 };
const LANE_HEIGHT = 14;
const MOST_LANES = 6;
const NAME_WIDTH = 92;

// Steps between ticks of time that people count in, in seconds.
const TIME_STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900,
  1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800];

function niceStep(span, most) {
  const rough = span / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
}

function countTicks(max, most) {
  const step = Math.max(1, niceStep(Math.max(max, 1), most));
  const ticks = [];
  for (let at = 0; at <= max; at += step)
    ticks.push(at);
  return ticks;
}

// Whole steps of the local clock.
function timeTicks(startMs, seconds, most) {
  const step = TIME_STEPS.find((one) => seconds / one <= most) ??
    niceStep(seconds, most);
  const zone = new Date(startMs).getTimezoneOffset() * 60;
  const local = startMs / 1000 - zone;
  const ticks = [];
  for (let at = Math.ceil(local / step) * step; at <= local + seconds;
    at += step)
    ticks.push(at - local);
  return { ticks, step };
}

function timeLabel(ms, step) {
  if (step >= 86400)
    return day(ms);
  if (step < 1)
    return `${clock(ms)}.${Math.floor(ms / 100) % 10}`;
  return clock(ms, step < 60);
}

// The outline of steps from `low` to `high`, which are numbers by bin.
function stepPath(xOf, yOf, low, high) {
  let forth = '';
  let back = '';
  for (let i = 0; i < high.length; i++) {
    const [left, right] = [xOf(i), xOf(i + 1)];
    forth += `${i === 0 ? 'M' : 'L'}${left} ${yOf(high[i])}H${right}`;
    back = `L${right} ${yOf(low[i])}H${left}${back}`;
  }
  return `${forth}${back}Z`;
}

function sum(a, b) {
  return b.map((value, i) => value + (a[i] ?? 0));
}

function round(value) {
  return Math.round(value * 10) / 10;
}

// ---- marks ----

// By name, those that were announced most often; ticks that would fall on one
// another are drawn once.
function lanesOf(marks, startMs, seconds) {
  const byName = new Map();
  for (const mark of marks) {
    const at = (Date.parse(mark.at) - startMs) / 1000;
    if (at < 0 || at > seconds)
      continue;
    if (!byName.has(mark.name))
      byName.set(mark.name, []);
    byName.get(mark.name).push({ at, isStart: mark.phase === 'start' });
  }
  return Array.from(byName)
    .sort((a, b) => b[1].length - a[1].length || (a[0] < b[0] ? -1 : 1))
    .slice(0, MOST_LANES);
}

function lane([name, ticks], isSuspect, y, xAt) {
  const drawn = new Set();
  const lines = [];
  for (const { at, isStart } of ticks) {
    const x = Math.round(xAt(at) * 2) / 2;
    const key = `${x} ${isStart}`;
    if (drawn.has(key))
      continue;
    drawn.add(key);
    lines.push(svg('line', { x1: x, x2: x, y1: y + (isStart ? 2 : 6),
      y2: y + LANE_HEIGHT - 2, class: isStart ? 'start' : 'stop' }));
  }
  return svg('g', { class: isSuspect ? 'lane suspect' : 'lane' },
    svg('text', { x: 4, y: y + LANE_HEIGHT - 3 },
      shorten(visible(name), 14)), lines);
}

// ---- the stair-step ----

function axes(box, max, time) {
  const rows = countTicks(max, 5).map((at) => [
    svg('line', { x1: box.left, x2: box.right, y1: box.yOf(at),
      y2: box.yOf(at), class: at === 0 ? 'axis' : 'grid' }),
    svg('text', { x: box.left - 6, y: box.yOf(at) + 4, 'text-anchor': 'end' },
      compact.format(at))]);
  const most = Math.max(2, Math.floor((box.right - box.left) / 90));
  const { ticks, step } = timeTicks(time.startMs, time.seconds, most);
  const columns = ticks.map((at) => [
    svg('line', { x1: box.xAt(at), x2: box.xAt(at), y1: box.bottom,
      y2: box.bottom + 4, class: 'axis' }),
    svg('text', { x: box.xAt(at), y: box.bottom + 16,
      'text-anchor': box.xAt(at) > box.right - 28 ? 'end' : 'middle' },
    timeLabel(time.startMs + at * 1000, step))]);
  return [rows, columns].flat(2);
}

// `bands`: {name, color, values}, the lowest first; `time`: {startMs, seconds,
// binS}; `marks`: {list, suspects}, of which the suspects stand out.
function stairs(bands, time, marks, width, summary) {
  const lanes = lanesOf(marks.list, time.startMs, time.seconds);
  const left = lanes.length > 0 ? Math.min(NAME_WIDTH, width / 4) : MARGIN.left;
  const height = CHART_HEIGHT + lanes.length * LANE_HEIGHT;
  const right = width - MARGIN.right;
  const bottom = CHART_HEIGHT - MARGIN.bottom;
  const tops = bands.reduce((all, band) =>
    [...all, sum(all.at(-1) ?? [], band.values)], []);
  const max = Math.max(1, ...(tops.at(-1) ?? []));
  const xAt = (s) => round(left + s / time.seconds * (right - left));
  const box = { left, right, bottom, xAt,
    yOf: (value) => round(bottom - value / (max * 1.05) *
      (bottom - MARGIN.top)) };
  // What changed within a bin did so, by and large, in the middle of it.
  const count = tops[0].length;
  const xOf = (bin) => xAt(bin === 0 ? 0 : bin === count ? time.seconds
    : Math.min((bin + 0.5) * time.binS, time.seconds));
  const shapes = bands.map((band, i) => svg('path', { class: band.color,
    d: stepPath(xOf, box.yOf, tops[i - 1] ?? tops[i].map(() => 0), tops[i]) }));
  return svg('svg', { role: 'img', 'aria-label': summary, width, height,
    viewBox: `0 0 ${width} ${height}`, class: 'stairs' },
  axes(box, max, time), svg('g', { class: 'bands' }, shapes),
  lanes.map((one, i) => lane(one, marks.suspects.has(one[0]),
    CHART_HEIGHT + i * LANE_HEIGHT, xAt)));
}

// ---- small ones ----

function sparkline(series, color) {
  const [width, height] = [96, 22];
  if (!series)
    return el('span', { class: 'none' }, '–');
  const { values } = series;
  const max = Math.max(1, ...values);
  const path = stepPath((i) => round(i / values.length * width),
    (value) => round(height - 1 - value / max * (height - 3)),
    values.map(() => 0), values);
  return svg('svg', { role: 'img', width, height, class: 'spark',
    viewBox: `0 0 ${width} ${height}`,
    'aria-label': `held: from ${number(values[0])} to ` +
      `${number(values.at(-1))}, at most ${number(Math.max(...values))}` },
  svg('path', { d: path, class: color }));
}

// Bars of how often an interval was as long as that.
function histogramBins(intervals) {
  const max = Math.max(...intervals);
  const step = niceStep(max, 24);
  const counts = new Array(Math.floor(max / step) + 1).fill(0);
  intervals.forEach((one) => counts[Math.floor(one / step)]++);
  return { step, counts };
}

function histogram({ step, counts }, width) {
  const [height, left, bottom] = [150, MARGIN.left, 128];
  const most = Math.max(...counts);
  const wide = (width - left - MARGIN.right) / counts.length;
  const yOf = (count) => round(bottom - count / most * (bottom - 12));
  const every = Math.ceil(64 / wide);
  return svg('svg', { role: 'img', width, height, class: 'bars',
    viewBox: `0 0 ${width} ${height}`,
    'aria-label': 'How often an interval was how long; the table has it' },
  countTicks(most, 3).map((at) => [
    svg('line', { x1: left, x2: width - MARGIN.right, y1: yOf(at),
      y2: yOf(at), class: at === 0 ? 'axis' : 'grid' }),
    svg('text', { x: left - 6, y: yOf(at) + 4, 'text-anchor': 'end' },
      compact.format(at))]).flat(),
  counts.map((count, i) => svg('rect', { x: round(left + i * wide + 0.5),
    y: yOf(count), width: round(Math.max(1, wide - 1)),
    height: round(bottom - yOf(count)), class: 'c0' })),
  counts.map((count, i) => i % every === 0 && svg('text',
    { x: round(left + i * wide), y: bottom + 15, 'text-anchor': 'middle' },
    duration(i * step))).filter(Boolean));
}
