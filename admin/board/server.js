// SPDX-License-Identifier: MIT

// The proxy's side: requests with the token, and the stream of events.

const TOKEN_KEY = 'leakproxy-token';
const SILENCE_MS = 10000;
const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 30000;

class Refusal extends Error {
  constructor(status, text, token) {
    super(text);
    this.status = status;
    this.token = token; // with which was asked; null: without one
  }
}

async function reasonOf(response) {
  const text = await response.text();
  try {
    return JSON.parse(text).error;
  } catch {
    return text.trim() || `status ${response.status}`;
  }
}

async function ask(path, options = {}) {
  const token = sessionStorage.getItem(TOKEN_KEY);
  const headers = token === null ? {} : { Authorization: `Bearer ${token}` };
  const response = await fetch(path, { ...options, headers,
    cache: 'no-store', credentials: 'omit', redirect: 'error' });
  if (!response.ok)
    throw new Refusal(response.status, await reasonOf(response), token);
  return response;
}

async function askJson(path) {
  return (await ask(path)).json();
}

function withQuery(path, parameters) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== '' && value !== null && value !== undefined)
      query.set(name, value);
  }
  const text = query.toString();
  return text === '' ? path : `${path}?${text}`;
}

// ---- server-sent events ----

// EventSource cannot send a token, so the format is read here (HTML standard,
// "Interpreting an event stream").
class EventParser {
  constructor(onEvent) {
    this.onEvent = onEvent;
    this.rest = '';
    this.clear();
  }

  clear() {
    this.name = 'message';
    this.data = [];
  }

  take(text) {
    const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop();
    lines.forEach((line) => this.takeLine(line));
  }

  takeLine(line) {
    if (line === '') {
      if (this.data.length > 0)
        this.onEvent(this.name, this.data.join('\n'));
      this.clear();
      return;
    }
    const [, name, value] = /^([^:]*):? ?(.*)$/s.exec(line);
    if (name === 'event')
      this.name = value;
    else if (name === 'data')
      this.data.push(value);
  }
}

// Listens, and comes again when the stream is lost, ever more slowly.
class Stream {
  constructor({ onEvent, onOpen, onLost, onRefused }) {
    Object.assign(this, { onEvent, onOpen, onLost, onRefused });
    this.failures = 0;
  }

  start() {
    this.stop();
    const abort = new AbortController();
    this.abort = abort;
    this.listen(abort).catch((error) => {
      // One that was stopped has nothing to say any more.
      if (this.abort === abort)
        this.fail(abort.signal.reason ?? error);
    });
  }

  stop() {
    clearTimeout(this.timer);
    clearTimeout(this.watchdog);
    this.abort?.abort();
    this.abort = null;
  }

  expect(abort) {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() =>
      abort.abort(new Error('the proxy is silent')), SILENCE_MS);
  }

  async listen(abort) {
    this.expect(abort);
    const response = await ask('/api/events', { signal: abort.signal });
    const parser = new EventParser(this.onEvent);
    const decoder = new TextDecoder();
    const reader = response.body.getReader();
    this.failures = 0;
    this.onOpen();
    for (;;) {
      const { done, value } = await reader.read();
      if (done)
        throw new Error('the proxy ended the stream');
      this.expect(abort);
      parser.take(decoder.decode(value, { stream: true }));
    }
  }

  fail(error) {
    this.stop();
    if (error.status === 401) {
      this.onRefused(error);
      return;
    }
    const wait = Math.min(FIRST_RETRY_MS * 2 ** this.failures, LAST_RETRY_MS);
    this.failures++;
    this.timer = setTimeout(() => this.start(), wait);
    this.onLost(error, wait);
  }
}
