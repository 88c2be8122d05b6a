import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { rekey } from './stand-in.ts';

const repository = new URL('../../../', import.meta.url);
const pages = [
  'README.md',
  ...readdirSync(new URL('docs/', repository))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

/** What a page says that somebody can type: command, and its options. */
interface Typed {
  readonly page: string;
  readonly command: string;
  readonly options: readonly string[];
}

/** Command lines in code, up to where the code, the pipe or the line ends. */
function typedIn(page: string): Typed[] {
  const text = readFileSync(new URL(page, repository), 'utf8').replaceAll('\\|', ' ');
  return [...text.matchAll(/(?:^|[`|]|npx )\s*rekey (incident [a-z]+|[a-z]+)([^`|;#\n]*)/gm)].map(
    ([, command = '', rest = '']) => ({
      page,
      command,
      options: [...rest.matchAll(/(?<=[\s[])--?[a-z][a-z-]*/g)].map(([option]) => option),
    }),
  );
}

const helpOf = async (command: string): Promise<string> =>
  (await rekey(undefined, [...command.split(' '), '--help'])).stdout;

describe('what the documents say to type', () => {
  const typed = pages.flatMap(typedIn);

  it('is known to the command line, each option of each command', async () => {
    expect(typed.length).toBeGreaterThan(60);
    const unknown: string[] = [];
    for (const { page, command, options } of typed) {
      const help = await helpOf(command);
      if (!help.includes(`Usage: rekey ${command} `)) unknown.push(`${page}: rekey ${command}`);
      const known = new Set(help.match(/(?<=[\s,])--?[a-zA-Z][a-z-]*/g));
      for (const option of options)
        if (!known.has(option)) unknown.push(`${page}: rekey ${command} ${option}`);
    }
    expect(unknown).toEqual([]);
  });

  it('has every command and every option of its own in the table of docs/cli.md', async () => {
    const { stdout } = await rekey(undefined, ['--help']);
    const commands = [...stdout.matchAll(/^ {2}([a-z]+) \[options\]/gm)].map(([, name = '']) => name);
    expect(commands.length).toBeGreaterThan(10);
    const missing: string[] = [];
    for (const command of commands) {
      const [own = ''] = (await helpOf(command)).split(/Global|-h, --help/);
      const said = typed.filter((each) => each.page === 'docs/cli.md' && each.command === command);
      if (said.length === 0) missing.push(command);
      const options = new Set(said.flatMap((each) => each.options));
      for (const [, short, long = ''] of own.matchAll(/^ {2}(?:(-[a-z]), )?(--[a-z-]+)/gm))
        if (!options.has(long) && !options.has(short ?? '')) missing.push(`${command} ${long}`);
    }
    expect(missing).toEqual([]);
  });
});
