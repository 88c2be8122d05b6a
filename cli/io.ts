import { isUtf8 } from 'node:buffer';
import { spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { ReadStream } from 'node:tty';
import { styleText } from 'node:util';
import { MAX_LEAKED_BYTES, tooLarge } from '../shared/domain/leak.ts';
import { Redacted } from '../shared/domain/redacted.ts';
import type { Failure } from './failure.ts';
import { Failures, usage } from './failure.ts';

/** The world as a command sees it; tests put their own in. */
export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly stdoutIsTty: boolean;
  readonly stderrIsTty: boolean;
  readonly stdinIsTty: boolean;
  stdout(text: string): void;
  stderr(text: string): void;
  /** Asks on the terminal; the question goes to stderr. */
  ask(question: string): Promise<string>;
  /** The same where standard input is taken: on the terminal of the process; undefined where it has none. */
  askTerminal(question: string): Promise<string | undefined>;
  /** All of standard input, as text that may be secret. */
  input(): Promise<Redacted<string>>;
  /** Opens an address in the browser of whoever sits here, if there is one. */
  open(url: string): void;
  now(): number;
}

/** The process's own terminal. */
export function processIo(): Io {
  return {
    env: process.env,
    cwd: process.cwd(),
    stdoutIsTty: process.stdout.isTTY,
    stderrIsTty: process.stderr.isTTY,
    stdinIsTty: process.stdin.isTTY,
    stdout: (text) => process.stdout.write(text),
    stderr: (text) => process.stderr.write(text),
    now: Date.now,
    ask: (question) => prompted(process.stdin, question),
    askTerminal: async (question) => {
      const terminal = controllingTerminal();
      if (terminal === undefined) return undefined;
      try {
        return await prompted(terminal, question);
      } finally {
        terminal.destroy();
      }
    },
    input: () => textOf(process.stdin),
    open: openInBrowser,
  };
}

async function prompted(input: NodeJS.ReadableStream, question: string): Promise<string> {
  const prompt = createInterface({ input, output: process.stderr });
  // Ctrl-C and a closed input are a no.
  const closed = new Promise<string>((resolve) => prompt.once('close', () => resolve('')));
  try {
    return await Promise.race([prompt.question(question), closed]);
  } finally {
    prompt.close();
  }
}

const OPENERS: Readonly<Partial<Record<NodeJS.Platform, readonly [string, ...string[]]>>> = {
  darwin: ['open'],
  win32: ['rundll32', 'url.dll,FileProtocolHandler'],
};

function openInBrowser(url: string): void {
  // The address came over the network: an opener would start programs for other schemes.
  if (!/^https?:\/\//.test(url)) return;
  const [program, ...args] = OPENERS[process.platform] ?? ['xdg-open'];
  const child = spawn(program, [...args, url], { stdio: 'ignore', detached: true });
  // Where there is none, the address has been printed.
  child.on('error', () => undefined);
  child.unref();
}

function controllingTerminal(): ReadStream | undefined {
  try {
    return new ReadStream(openSync('/dev/tty', 'r'));
  } catch {
    // A process of a pipeline, a scheduler or another system has none.
    return undefined;
  }
}

async function textOf(input: AsyncIterable<unknown>): Promise<Redacted<string>> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of input) {
    const bytes = Buffer.from(chunk as Uint8Array);
    size += bytes.length;
    // A newline at its end is no part of the value.
    if (size > MAX_LEAKED_BYTES + 2) throw tooLarge();
    chunks.push(bytes);
  }
  const all = Buffer.concat(chunks);
  if (!isUtf8(all)) throw usage('standard input is not text in UTF-8');
  return new Redacted(all.toString('utf8'));
}

type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';

const SHOW_AFTER_MS = 2000;
const PLAIN_EVERY_MS = 10_000;

/** Everything a command says goes through here: results to stdout, everything else to stderr. */
export class Output {
  readonly io: Io;
  readonly json: boolean;
  readonly #colourOut: boolean;
  readonly #colourErr: boolean;
  #status = '';
  #told: number;

  constructor(io: Io, json: boolean) {
    this.io = io;
    this.json = json;
    this.#told = io.now();
    const wanted = io.env['NO_COLOR'] === undefined || io.env['NO_COLOR'] === '';
    this.#colourOut = wanted && !json && io.stdoutIsTty && io.env['TERM'] !== 'dumb';
    this.#colourErr = wanted && !json && io.stderrIsTty && io.env['TERM'] !== 'dumb';
  }

  /** A line of the result for people; nothing with --json. */
  line(text = ''): void {
    if (this.json) return;
    this.clearStatus();
    this.io.stdout(`${printable(text)}\n`);
  }

  /** The result for machines; nothing without --json. */
  data(value: unknown): void {
    if (this.json) this.io.stdout(`${JSON.stringify(value, null, 2)}\n`);
  }

  /** One of many results for machines, on a line of its own. */
  event(value: unknown): void {
    if (this.json) this.io.stdout(`${JSON.stringify(value)}\n`);
  }

  /** A remark beside the result; nothing with --json, where stderr carries errors only. */
  note(text: string): void {
    if (this.json) return;
    this.clearStatus();
    this.io.stderr(`${printable(text)}\n`);
  }

  error(failure: Failure): void {
    this.clearStatus();
    const all = failure instanceof Failures ? failure.all : [failure];
    if (this.json) {
      const errors = all.map((one) => one.toJSON());
      const [first] = errors;
      this.io.stderr(`${JSON.stringify({ error: first, ...(errors.length > 1 ? { errors } : {}) })}\n`);
      return;
    }
    const shown = failure instanceof Failures ? failure.shown : 1;
    for (const { message, field, remedy, code } of all.slice(0, shown)) {
      const lines = [
        `${this.#paint('red', 'error', this.#colourErr)} ${message}`,
        ...(field === undefined || field === '' ? [] : [`  field: ${field}`]),
        ...(remedy === undefined ? [] : [`  remedy: ${remedy}`]),
        `  ${this.#paint('dim', code, this.#colourErr)}`,
      ];
      this.io.stderr(`${printable(lines.join('\n'))}\n`);
    }
    if (failure instanceof Failures) this.io.stderr(`${failure.message}\n`);
  }

  style(style: Style, text: string): string {
    return this.#paint(style, text, this.#colourOut);
  }

  #paint(style: Style, text: string, colour: boolean): string {
    return colour ? styleText(style, text, { validateStream: false }) : text;
  }

  /** Shows a line on a terminal's stderr that the next output replaces. */
  status(text: string): void {
    if (this.json || !this.io.stderrIsTty) return;
    this.io.stderr(`\r\u001B[2K${text}`);
    this.#status = text;
  }

  /** Says how far something has come: on a terminal in place, else a line every ten seconds. */
  progress(text: string): void {
    if (this.json) return;
    if (this.io.stderrIsTty) {
      this.status(text);
      return;
    }
    const now = this.io.now();
    if (now - this.#told < PLAIN_EVERY_MS) return;
    this.#told = now;
    this.note(text);
  }

  clearStatus(): void {
    if (this.#status === '') return;
    this.#status = '';
    this.io.stderr('\r\u001B[2K');
  }

  /** Waits for `work` and says so on stderr once it takes longer than two seconds. */
  async waiting<T>(what: string, work: Promise<T>): Promise<T> {
    if (this.json) return work;
    const began = this.io.now();
    const seconds = (): string => `${Math.round((this.io.now() - began) / 1000)} s`;
    let timer: NodeJS.Timeout | undefined;
    const tick = (): void => {
      if (this.io.stderrIsTty) this.status(`${what} … ${seconds()}`);
      else this.io.stderr(`${what} … ${seconds()}\n`);
      timer = setTimeout(tick, this.io.stderrIsTty ? 1000 : PLAIN_EVERY_MS);
    };
    timer = setTimeout(tick, SHOW_AFTER_MS);
    try {
      return await work;
    } finally {
      clearTimeout(timer);
      this.clearStatus();
    }
  }

  /** Aligned columns; the heading is dimmed. Cells may be styled. */
  table(heading: readonly string[], rows: readonly (readonly string[])[]): void {
    const widths = heading.map((title, column) =>
      Math.max(title.length, ...rows.map((row) => plain(row[column] ?? '').length)),
    );
    const format = (cells: readonly string[]): string =>
      cells
        .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - plain(cell).length))
        .join('  ')
        .trimEnd();
    this.line(this.style('dim', format(heading)));
    for (const row of rows) this.line(format(row));
  }
}

/**
 * A text whose author is unknown, as one line that shows what is in it: control characters, escape sequences, line breaks and
 * marks that turn the direction of writing are written out, so that none of them hides or forges what stands around it.
 */
export function foreign(text: string): string {
  return text.replace(STEERING, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

/* oxlint-disable no-control-regex -- exactly these are meant */
const STEERING = /[\u0000-\u001F\u007F-\u009F\u200B-\u200F\u2028-\u202E\u2060-\u2069\uFEFF]/g;
const COLOUR = /\u001B\[[\d;]*m/g;
const CONTROL = /(?!\u001B\[[\d;]*m)[\u0000-\u0009\u000B-\u001F\u007F-\u009F]/g;
/* oxlint-enable no-control-regex */

function plain(text: string): string {
  return text.replace(COLOUR, '');
}

/** Reasons and messages come from elsewhere: whatever could steer a terminal, other than colour, is taken out. */
function printable(text: string): string {
  return text.replace(CONTROL, '');
}
