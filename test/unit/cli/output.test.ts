import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Output, type Io } from '../../../cli/io.ts';

let stderr = '';
const io = (tty: boolean): Io => ({
  env: {},
  cwd: '/',
  stdoutIsTty: tty,
  stderrIsTty: tty,
  stdinIsTty: tty,
  stdout: () => {
    throw new Error('progress belongs on stderr');
  },
  stderr: (text) => {
    stderr += text;
  },
  ask: async () => '',
  askTerminal: async () => undefined,
  input: () => Promise.reject(new Error('progress reads nothing')),
  open: () => undefined,
  now: Date.now,
});

async function wait(out: Output, ms: number): Promise<string> {
  const work = out.waiting('asking', new Promise((resolve) => setTimeout(() => resolve('done'), ms)));
  await vi.advanceTimersByTimeAsync(ms);
  expect(await work).toBe('done');
  return stderr;
}

describe('progress', () => {
  beforeEach(() => {
    stderr = '';
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('is silent for two seconds', async () => {
    expect(await wait(new Output(io(true), false), 1900)).toBe('');
  });

  it('counts on a terminal and leaves no trace', async () => {
    const shown = await wait(new Output(io(true), false), 4500);
    expect(shown).toContain('asking … 2 s');
    expect(shown.endsWith('asking … 4 s\r\u001B[2K')).toBe(true);
  });

  it('is a line now and then elsewhere', async () => {
    expect(await wait(new Output(io(false), false), 13_000)).toBe('asking … 2 s\nasking … 12 s\n');
  });

  it('is nothing with --json, where stderr carries errors only', async () => {
    expect(await wait(new Output(io(true), true), 5000)).toBe('');
  });
});
