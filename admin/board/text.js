// SPDX-License-Identifier: MIT

// Words and numbers for people.  Strings of strangers become visible here:
// nothing else may show them.

const SHORT_CHARACTERS = 120;

// Controls, marks that turn the direction of writing, and what has no width:
// each is shown by its number, so that no text can pretend to be another.
const INVISIBLE = new RegExp(
  '[\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160' +
  '\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e' +
  '\\u2060-\\u206f\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\uffff]|' +
  '[\\ud800-\\udbff](?![\\udc00-\\udfff])|' +
  '(?<![\\ud800-\\udbff])[\\udc00-\\udfff]|\\udb40[\\udc00-\\udfff]', 'g');

function escapeOf(character) {
  const point = character.codePointAt(0).toString(16);
  return `\\u${point.length > 4 ? `{${point}}` : point.padStart(4, '0')}`;
}

function visible(text) {
  return String(text).replace(INVISIBLE, escapeOf);
}

// The beginning and the end say most.
function shorten(text, most = SHORT_CHARACTERS) {
  const points = Array.from(text);
  if (points.length <= most)
    return text;
  const end = Math.floor(most / 3);
  return points.slice(0, most - end - 1).join('') + '…' +
    points.slice(-end).join('');
}

function plural(count, noun) {
  return `${number(count)} ${noun}${count === 1 ? '' : 's'}`;
}

const numbers = new Intl.NumberFormat('en');
const compact = new Intl.NumberFormat('en', { notation: 'compact' });
const few = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });

function number(value) {
  return value === null || value === undefined ? '–' : numbers.format(value);
}

function rough(value) {
  return value === null || value === undefined ? '–' : few.format(value);
}

function bytes(value) {
  if (value === null || value === undefined)
    return '–';
  let unit = 0;
  for (; value >= 1024 && unit < 4; unit++)
    value /= 1024;
  return `${few.format(value)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][unit]}`;
}

function duration(seconds) {
  if (seconds === null || seconds === undefined)
    return '–';
  if (seconds < 1)
    return `${few.format(seconds * 1000)} ms`;
  if (seconds < 120)
    return `${few.format(seconds)} s`;
  if (seconds < 7200)
    return `${few.format(seconds / 60)} min`;
  if (seconds < 172800)
    return `${few.format(seconds / 3600)} h`;
  return `${few.format(seconds / 86400)} days`;
}

function pad(value) {
  return String(value).padStart(2, '0');
}

// "13:04:05", by this computer's clock and zone.
function clock(ms, withSeconds = true) {
  const at = new Date(ms);
  return `${pad(at.getHours())}:${pad(at.getMinutes())}` +
    (withSeconds ? `:${pad(at.getSeconds())}` : '');
}

function day(ms) {
  const at = new Date(ms);
  return `${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
}

// Of today the time, else the day too.
function moment(text) {
  if (!text)
    return '–';
  const ms = Date.parse(text);
  const isToday = new Date(ms).toDateString() === new Date().toDateString();
  return isToday ? clock(ms) : `${day(ms)} ${clock(ms)}`;
}
