import { isKeyField, keyFormOf, type KeyForm } from './key-forms.ts';
import { Redacted } from './redacted.ts';

/** A key in a list of them: its form, and what the list calls it. */
export interface ListedKey {
  readonly value: Redacted<string>;
  readonly form: KeyForm | undefined;
  /** The name of the variable; absent for a bare key. */
  readonly name?: string;
  /** Where it stands, from 1. */
  readonly line: number;
}

/** What a text of keys has. */
export interface KeyList {
  readonly keys: readonly ListedKey[];
  /** Names of variables whose value isn't taken for a key. */
  readonly others: readonly string[];
  /** Lines that could not be read, from 1: whatever stands there is in none of the above. */
  readonly unread: readonly number[];
}

interface Text {
  readonly text: string;
  readonly name?: string | undefined;
}

const VARIABLE = /^(?:export\s+)?(["']?)(?<name>[A-Za-z_][\w.-]*)\1\s*[=:]\s*(?<value>.*)$/;
/** A remark behind a value needs a space before it, as in the shell. */
const QUOTED = /^(["'])(?<value>.*?)\1\s*[,;]?\s*(?:\s#.*)?$/;
const COMMENT = /^(?:#|\/\/)/;
/** Brackets and commas of a JSON or YAML. */
const STRUCTURE = /^[\s{}[\],;-]*$/;

/**
 * The keys of a text: one a line, bare, as `NAME=value` or `"NAME": "value"`, as fields of a JSON, or as the one word of a
 * line that has the form of a key. Of several in one line nobody knows which is meant.
 */
export function keysIn(list: Redacted<string>): KeyList {
  const keys: ListedKey[] = [];
  const others: string[] = [];
  const unread: number[] = [];
  for (const [index, raw] of list.reveal().split(/\r?\n/).entries()) {
    const found = textsOf(raw.trim());
    if (found === undefined) unread.push(index + 1);
    for (const { text, name } of found ?? []) {
      const value = new Redacted(text);
      const form = keyFormOf(value);
      const named = name === undefined ? {} : { name };
      if (form !== undefined || (name !== undefined && text !== '' && isKeyField(name)))
        keys.push({ value, form, line: index + 1, ...named });
      else if (name !== undefined) others.push(name);
    }
  }
  return { keys: withoutSecretParts(keys), others, unread };
}

/** The secret part of an access key of AWS is no key of its own: its id is what is proposed. */
function withoutSecretParts(keys: readonly ListedKey[]): readonly ListedKey[] {
  if (!keys.some(({ form }) => form === 'AKIA…')) return keys;
  return keys.filter(({ form, name = '' }) => form !== undefined || !/secret_?access_?key$/i.test(name));
}

/** The values of a line; undefined where they can't be told. */
function textsOf(line: string): readonly Text[] | undefined {
  if (STRUCTURE.test(line)) return [];
  // What is commented out is not in use; a key there is still one that somebody may mean.
  if (COMMENT.test(line)) return wordsOf(line).length === 0 ? [] : undefined;
  const fields = fieldsOf(line);
  if (fields !== undefined) return fields;
  const groups = VARIABLE.exec(line)?.groups;
  // `KEY: a remark` names nothing: what has the form of a key is never shown as a name.
  const { name, value: rest } = isKey(groups?.['name']) ? {} : (groups ?? {});
  const text = valueOf(rest ?? line);
  if (isKey(text)) return [{ text, name }];
  const [word, ...more] = wordsOf(rest ?? line);
  if (word !== undefined) return more.length === 0 ? [{ text: word, name }] : undefined;
  return name === undefined ? undefined : [{ text: STRUCTURE.test(text) ? '' : text, name }];
}

function isKey(text: string | undefined): boolean {
  return text !== undefined && keyFormOf(new Redacted(text)) !== undefined;
}

/** Without its quotes and the remark behind it. */
function valueOf(text: string): string {
  return (
    QUOTED.exec(text)?.groups?.['value'] ??
    text
      .replace(/(?:^|\s+)#.*$/, '')
      .replace(/,$/, '')
      .trim()
  );
}

/** The words of a line that have the form of a key. */
function wordsOf(line: string): string[] {
  return line.split(/[\s"'`=:,;{}[\]()<>]+/).filter(isKey);
}

/** The texts of a JSON in one line, however deep; undefined where it is none. */
function fieldsOf(line: string): readonly Text[] | undefined {
  if (!/^[{[]/.test(line)) return undefined;
  try {
    return textsIn(JSON.parse(line));
  } catch {
    return undefined;
  }
}

function textsIn(value: unknown, name?: string): Text[] {
  if (typeof value === 'string') return [{ text: value, name }];
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) return value.flatMap((each) => textsIn(each, name));
  return Object.entries(value).flatMap(([field, each]) =>
    isKey(field) ? [{ text: field }, ...textsIn(each)] : textsIn(each, field),
  );
}

/** Numbers of lines as a person writes them: `line 3` or `lines 3, 7-9`. */
export function linesOf(numbers: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const number of numbers) {
    const last = runs.at(-1);
    if (last !== undefined && last[1] === number - 1) last[1] = number;
    else runs.push([number, number]);
  }
  const told = runs.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(', ');
  return `${numbers.length === 1 ? 'line' : 'lines'} ${told}`;
}
