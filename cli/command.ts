import type { Command } from 'commander';
import { day } from '../shared/api/messages.ts';
import { instantIn } from '../shared/domain/clock.ts';
import type { Context } from './context.ts';
import { usage } from './failure.ts';

/** Runs what a command does; its answer is the exit code. */
export type Run = (command: Command, act: (context: Context) => Promise<number>) => Promise<void>;

/** Adds a command with its options and help to the program. */
export type AddCommand = (program: Command, run: Run) => void;

/** Parser of an option whose text must not be empty. */
export function filled(option: string): (text: string) => string {
  return (text) => {
    if (text.trim() === '') throw usage(`${option} is empty`);
    return text;
  };
}

/** Parser of an option that is a day. */
export function date(option: string): (text: string) => string {
  return (text) => {
    const parsed = day.safeParse(text);
    if (!parsed.success) throw usage(`${option} ${text}: ${parsed.error.issues[0]?.message ?? 'not a date'}`);
    return text;
  };
}

/** Parser of an option that is a moment, with its zone. */
export function moment(option: string): (text: string) => string {
  return (text) => {
    const isZoned = /^\d{4}-\d{2}-\d{2}T.*(Z|[+-]\d{2}:\d{2})$/.test(text);
    const given = isZoned ? instantIn(text) : undefined;
    if (given !== undefined) return given;
    throw usage(`${option} ${text}: not a moment`, 'write it as 2026-11-22T12:00:00Z');
  };
}

/** The examples at the end of a help text. */
export function examples(...lines: string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}\n`;
}
