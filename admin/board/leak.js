// SPDX-License-Identifier: MIT

// One leak, and one exchange: the evidence.

const CALLER_COLUMNS = [
  { name: 'process', isHead: true, of: ownerText },
  { name: 'address', of: (caller) => foreign(caller.peer) },
  { name: 'user agent', of: (caller) => foreign(caller.user_agent) },
  { name: 'command line', of: (caller) => foreign(caller.command_line, 200) },
  { name: 'container', of: (caller) => foreign(caller.container) },
  { name: 'descriptors', of: (caller) =>
    caller.fds.length === 0 ? '–' : caller.fds.join(', ') }];

function headText(line, fields) {
  return [line, ...fields.map((field) => `${field.name}: ${field.value}`)]
    .map(visible).join('\n');
}

function headsOf(entry) {
  const { request, response } = entry;
  return [
    el('h4', {}, 'Request'),
    el('pre', { tabindex: 0, 'aria-label': 'Head of the request' },
      headText(`${request.method} ${request.url} ${request.httpVersion}`,
        request.headers)),
    el('h4', {}, 'Response'),
    el('pre', { tabindex: 0, 'aria-label': 'Head of the response' },
      headText(`${response.httpVersion} ${response.status} ` +
        response.statusText, response.headers))];
}

// What may have left memory meanwhile: null then.
async function askIfThere(path, read) {
  try {
    return await read(await ask(path));
  } catch (error) {
    if (error.status === 404)
      return null;
    throw error;
  }
}

async function loadExample(id) {
  const path = `/api/exchanges/${id}`;
  const [har, curl] = await Promise.all([
    askIfThere(`${path}/har`, (response) => response.json()),
    askIfThere(`${path}/curl`, (response) => response.text())]);
  return { id, har, curl };
}

function exampleSection(title, { id, har, curl }) {
  const entry = har?.log.entries[0];
  return el('section', { 'aria-labelledby': 'example' },
    el('h3', { id: 'example' }, title, ' ',
      el('a', { href: `#/exchange/${id}` }, id)),
    entry ? headsOf(entry)
      : el('p', {}, 'It is no longer in memory; its heads neither.'),
    curl && [el('h4', {}, 'Ask again'),
      el('pre', { tabindex: 0, 'aria-label': 'curl command', id: 'curl' },
        visible(curl.trimEnd()).replaceAll('\\u000a', '\n')),
      el('p', { class: 'actions' },
        el('button', { type: 'button', 'data-do': 'copy', 'data-id': id },
          'Copy as curl'), ' ',
        el('button', { type: 'button', 'data-do': 'har', 'data-id': id },
          'Download HAR'))]);
}

// ---- what buttons do ----

async function copyCurl(id) {
  const text = await (await ask(`/api/exchanges/${id}/curl`)).text();
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    say('The curl command is on the clipboard.');
    return;
  }
  // Without TLS a page has no clipboard but on this computer.
  getSelection().selectAllChildren(document.getElementById('curl'));
  say('The curl command is selected: copy it.');
}

async function downloadHar(id) {
  const file = await (await ask(`/api/exchanges/${id}/har`)).blob();
  const address = URL.createObjectURL(file);
  const link = el('a', { href: address, download: `leakproxy-${id}.har` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}

const ACTIONS = { copy: copyCurl, har: downloadHar };

// ---- one leak ----

function intervalSection(leak) {
  if (leak.intervals_s.length < 2)
    return null;
  const bins = histogramBins(leak.intervals_s);
  const rows = bins.counts.map((count, i) => ({ count, i }))
    .filter((row) => row.count > 0);
  return el('section', { 'aria-labelledby': 'intervals' },
    el('h3', { id: 'intervals' }, 'From one burst to the next'),
    el('figure', {}, el('figcaption', {}, rhythmText(leak)),
      histogram(bins, Math.min(chartWidth(), 720))),
    el('details', { class: 'as-table' },
      el('summary', {}, 'The histogram as a table'),
      table('Intervals', [
        { name: 'from', isHead: true,
          of: (row) => duration(row.i * bins.step) },
        { name: 'to', of: (row) => duration((row.i + 1) * bins.step) },
        { name: 'how often', isNumber: true, of: (row) => number(row.count) },
      ], rows)));
}

function leakFacts(leak) {
  return facts([
    ['held now', number(leak.held_now)],
    ['undrained', number(leak.undrained)],
    ['suspected', number(leak.suspected)],
    ['held to exit', number(leak.held_to_exit)],
    ['per hour', rough(leak.per_hour)],
    ['bytes unread', bytes(leak.held_bytes)],
    ['first seen', moment(leak.first_seen)],
    ['last seen', moment(leak.last_seen)],
    ['rhythm', rhythmText(leak)],
    ['suspect', suspectText(leak)],
    ['evidence', evidenceText(leak)],
    ['let go', leak.release
      ? `after ${duration(leak.release.age_s)}, always: a timeout hides it`
      : '–']]);
}

function leakTimeline(leak, marks) {
  if (!leak.held_series)
    return null;
  const time = { startMs: Date.parse(leak.since), seconds: leak.seconds,
    binS: leak.held_series.bin_s };
  const bands = [{ name: leakWords(leak), color: 'c0',
    values: leak.held_series.values }];
  return el('section', { 'aria-labelledby': 'over-time' },
    el('h3', { id: 'over-time' }, 'Held over time'),
    chartFigure(bands, time, marks, 'Responses held, each since it came'),
    chartTable(bands, time));
}

const leakView = {
  title: 'Leak',
  async load(query, id) {
    const [leak, marks] = await Promise.all([
      askJson(`/api/leaks/${id}`), askJson('/api/marks')]);
    const example = leak.example && await loadExample(leak.example.exchange);
    return { leak, example, marks: marksFor(marks, [leak]) };
  },
  render({ leak, example, marks }) {
    return [
      el('h2', { tabindex: -1 },
        foreign(`${leak.method} ${leak.route}`, 300), ' ',
        el('span', { class: 'status' }, String(leak.status))),
      el('p', { class: 'where' }, foreign(leak.origin), ' ',
        tagList(leak.tags)),
      leakFacts(leak), leakTimeline(leak, marks), intervalSection(leak),
      el('section', { 'aria-labelledby': 'callers' },
        el('h3', { id: 'callers' }, 'Callers'),
        table('Who holds them', CALLER_COLUMNS, leak.callers)),
      example && exampleSection('Example', example)];
  },
};

// ---- one exchange ----

const exchangeView = {
  title: 'Exchange',
  async load(query, id) {
    const [exchange, example] = await Promise.all([
      askJson(`/api/exchanges/${id}`), loadExample(id)]);
    return { exchange, example };
  },
  render({ exchange: one, example }) {
    return [
      el('h2', { tabindex: -1 }, foreign(`${one.method} ${one.url}`, 8192),
        ' ', el('span', { class: 'status' }, number(one.status))),
      el('p', {}, el('b', {}, one.verdict), `: ${one.meaning}`),
      facts([
        ['origin', foreign(one.origin)], ['route', foreign(one.route)],
        ['tags', tagList(one.tags)], ['began', moment(one.began_at)],
        ['first byte', duration(one.first_byte_s)],
        ['lasted', duration(one.duration_s)],
        ['body', bytes(one.body_bytes)],
        ['delivered', bytes(one.delivered_bytes)],
        ['unread', bytes(one.unread_bytes)],
        ['caller', ownerText(one)], ['descriptor', number(one.fd)],
        ['address', foreign(one.client_address)],
        ['error', foreign(one.error)]]),
      exampleSection('Exchange', example)];
  },
};
