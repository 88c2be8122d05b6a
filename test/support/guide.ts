import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from '../infra/app.ts';

/** A fenced block of a guide: its language, and the file that it is about. */
interface Block {
  readonly language: string;
  readonly file: string;
  readonly text: string;
}

/** How a guide's command that can't run as it stands is run; the reason, and what runs instead. */
export interface Otherwise {
  readonly line: RegExp;
  readonly reason: string;
  readonly run?: (line: string) => Promise<string>;
}

/** Where the commands of a guide run. */
export interface Place {
  readonly dir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Commands of the AWS CLI, by the same API. */
  readonly aws: (words: readonly string[]) => Promise<string>;
  readonly otherwise: readonly Otherwise[];
}

/** A page of docs/ whose shell blocks are run line by line, with the local stage in the place of `prod`. */
export class Guide {
  readonly blocks: readonly Block[];
  readonly #place: Place;
  #env: Record<string, string | undefined>;

  private constructor(blocks: readonly Block[], place: Place) {
    this.blocks = blocks;
    this.#place = place;
    this.#env = { ...process.env, ...place.env, NO_COLOR: '1' };
  }

  /** The blocks of a page, without a place to run them. */
  static async blocksOf(page: string): Promise<Block[]> {
    const text = await readFile(join(root, 'docs', page), 'utf8');
    return [...text.matchAll(/^```(\w+) ?(\S*)\n([\s\S]*?)^```$/gm)].map(
      ([, language = '', file = '', content = '']) => ({ language, file, text: content }),
    );
  }

  /** The shell blocks of one section of a page, those in its lists included. */
  static async shellOf(page: string, heading: string): Promise<string[]> {
    const text = await readFile(join(root, 'docs', page), 'utf8');
    const [, section = ''] = text.split(`\n## ${heading}\n`);
    return [
      ...section
        .split(/^## /m, 1)
        .join('')
        .matchAll(/^( *)```sh\n([\s\S]*?)^\1```$/gm),
    ].map(([, indent = '', content = '']) => content.replaceAll(new RegExp(`^${indent}`, 'gm'), ''));
  }

  static async open(page: string, place: Place): Promise<Guide> {
    return new Guide(await Guide.blocksOf(page), place);
  }

  /** The shell blocks, as lines. */
  get commands(): string[][] {
    return this.blocks.filter(({ language }) => language === 'sh').map(({ text }) => text.trim().split('\n'));
  }

  /** Runs a shell block; what it printed. */
  async run(index: number): Promise<string> {
    let output = '';
    for (const line of this.commands[index] ?? []) {
      const other = this.#place.otherwise.find((each) => each.line.test(line));
      const command = line.replaceAll('prod', 'local');
      output += other === undefined ? await this.#command(command) : ((await other.run?.(command)) ?? '');
    }
    return output;
  }

  /** As `npx rekey` in the folder that the guide's files are in. A failure carries its exit code as `status`. */
  rekey(args: readonly string[]): Promise<string> {
    return new Promise((resolve, reject) => {
      const launcher = join(root, 'cli', 'rekey.mjs');
      const options = { cwd: this.#place.dir, env: this.#env, timeout: 120_000 };
      execFile(process.execPath, [launcher, ...args], options, (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else
          reject(
            Object.assign(new Error(`rekey ${args.join(' ')}: ${stderr}${stdout}`), { status: error.code }),
          );
      });
    });
  }

  async #command(line: string): Promise<string> {
    const words = [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '');
    const [first, second] = words;
    if (first === 'aws') return this.#place.aws(words.slice(1));
    if (first === 'npx' && second === 'rekey') return this.rekey(words.slice(2));
    if (first !== 'export') throw new Error(`this test knows no way to run: ${line}`);
    this.#env = { ...this.#env, ...Object.fromEntries([(second ?? '').split('=')]) };
    return '';
  }
}
