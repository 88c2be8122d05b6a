import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';

/** Tells an exercise line by line, each with the seconds since it began. */
export interface Narrator {
  readonly title: (text: string) => void;
  readonly tell: (line: string) => void;
  /** A question to those around the table; waits for Enter where somebody takes part. */
  readonly ask: (question: string) => Promise<void>;
}

/** A narrator on standard output. */
export function narrator(interactive: boolean): Narrator {
  let began = Date.now();
  const colour = process.stdout.isTTY && process.env['NO_COLOR'] === undefined;
  const bold = (text: string): string => (colour ? `\u001b[1m${text}\u001b[0m` : text);
  return {
    title: (text) => console.log(`\n${bold(text)}`),
    tell: (line) => console.log(`${((Date.now() - began) / 1000).toFixed(1).padStart(6)} s  ${line}`),
    ask: async (question) => {
      console.log(`\n          What would you do now? ${question}`);
      if (!interactive) return;
      const asked = Date.now();
      const terminal = createInterface({ input: process.stdin, output: process.stdout });
      const isOver = once(terminal, 'close');
      // Where nobody can press Enter, it goes on.
      await Promise.race([terminal.question('          (Enter goes on) '), isOver]);
      terminal.close();
      // The time of those who talk is nobody's delay.
      began += Date.now() - asked;
    },
  };
}
